//! Names that Stripe gives to what it keeps: `pm_…`, `cus_…`, `pi_…`.

const LENGTH_MAX: usize = 255;

/// Whether a text may be a name of Stripe's. Others never get into the path of a request, where they could mean more.
pub fn is_name(text: &str) -> bool {
    let is_of_a_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !text.is_empty() && text.len() <= LENGTH_MAX && text.bytes().all(is_of_a_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_nothing_that_means_more_in_a_path() {
        assert!(is_name("pm_1GsCHZDSHonWMPISVUzFHz7f"));
        for other in ["", "pm_1/detach", "pm_1?expand=x", "..", "pm 1", "pm_%2e", &"a".repeat(256)] {
            assert!(!is_name(other), "{other}");
        }
    }
}
