use async_graphql::SimpleObject;

use crate::domain::label::{Label, Language};

/// A code with its label in the language of the request's Accept-Language: Chinese, or else English.
#[derive(SimpleObject)]
pub struct CodeLabel {
    /// What inputs and filters name.
    code: String,
    /// What it is called.
    label: String,
}

impl CodeLabel {
    pub fn all(labels: &[Label], language: Language) -> Vec<Self> {
        let named =
            |label: &Label| Self { code: label.code.clone(), label: label.in_language(language).to_owned() };
        labels.iter().map(named).collect()
    }
}
