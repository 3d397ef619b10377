use async_graphql::SimpleObject;

use crate::domain::refusal::Refusal;
use crate::graphql::enums::UserErrorCode;

/// Why a mutation did not do what it was asked. Nothing was changed.
#[derive(SimpleObject, Debug, Clone)]
pub struct UserError {
    /// The path into the input, for example ["input", "planId"]; null where no single field is the reason.
    path: Option<Vec<String>>,
    /// The kind of error, for programs.
    code: UserErrorCode,
    /// What is wrong, for people.
    message: String,
}

impl From<Refusal> for UserError {
    fn from(refusal: Refusal) -> Self {
        let path = refusal
            .field
            .map(|field| std::iter::once("input").chain(field.split('.')).map(str::to_owned).collect());
        Self { path, code: refusal.code.into(), message: refusal.message }
    }
}
