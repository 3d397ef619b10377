//! What a request says.

use std::borrow::Cow;

/// The parameters of a request.
///
/// Stripe knows them all. Stand-ins for it, by which integrations are tried out, may not know those that are spare:
/// without these the request means the same, so it can be asked again without them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Params<'p> {
    pairs: Vec<(&'p str, Cow<'p, str>)>,
    spare: Vec<(&'p str, Cow<'p, str>)>,
}

impl<'p> Params<'p> {
    /// With one that cannot be left out.
    pub fn with(mut self, name: &'p str, value: impl Into<Cow<'p, str>>) -> Self {
        self.pairs.push((name, value.into()));
        self
    }

    /// With one that cannot be left out, if there is one.
    pub fn with_any(self, name: &'p str, value: Option<impl Into<Cow<'p, str>>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// With one that can be left out, if there is one.
    pub fn with_spare(mut self, name: &'p str, value: Option<impl Into<Cow<'p, str>>>) -> Self {
        self.spare.extend(value.map(|value| (name, value.into())));
        self
    }

    /// All of them.
    pub fn all(&self) -> Vec<(&str, &str)> {
        self.pairs.iter().chain(&self.spare).map(|(name, value)| (*name, value.as_ref())).collect()
    }

    /// Those that cannot be left out.
    pub fn without_spare(self) -> Self {
        Self { pairs: self.pairs, spare: Vec::new() }
    }

    /// Whether a parameter can be left out. One of several parts, `created[gte]`, is known by the first.
    pub fn is_spare(&self, name: &str) -> bool {
        let base = |(spare, _): &(&str, _)| spare.split('[').next() == Some(name);
        self.spare.iter().any(base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spare_parameters_can_be_left_out() {
        let params = Params::default()
            .with("limit", "100")
            .with_spare("created[gte]", Some("7"))
            .with_spare("customer", None::<&str>);
        assert_eq!(params.all(), [("limit", "100"), ("created[gte]", "7")]);
        assert!(params.is_spare("created") && !params.is_spare("limit") && !params.is_spare("customer"));
        assert_eq!(params.without_spare().all(), [("limit", "100")]);
    }
}
