//! Requests are executed once all that they say is known to be right: their values, what they ask for, their documents.
//!
//! What a document says is looked at by the schema once (docs/adr/0018): clients send the same texts over and over, with
//! other ids and amounts. Values are checked with each request (graphql/runtime/inputs.rs), so whether an operation is valid does
//! not hang on them. Depth, aliases and directives are counted each time.

use async_graphql::{Request, Response, ValidationMode, Value};

use super::json_answer::WritesJson;
use super::limits::Limits;
use super::operation::Operation;
use crate::graphql::{AbacusSchema, limited};

/// Executes requests.
pub struct Executor {
    validating: AbacusSchema,
    /// The same schema, for what was valid before.
    trusting: AbacusSchema,
    limits: Limits,
}

impl Executor {
    pub fn new(limits: &Limits) -> Self {
        Self {
            validating: limited(limits).finish(),
            trusting: limited(limits).validation_mode(ValidationMode::Fast).finish(),
            limits: limits.clone(),
        }
    }

    /// Runs the operation of a request; nothing of it, if anything that it says is wrong. The answer is written by
    /// [`write_response`](super::json_answer::write_response), and by nothing else.
    pub async fn execute(&self, mut request: Request, operation: &Operation) -> Response {
        if let Err(errors) = operation.admit(&mut request.variables, &self.limits) {
            return Response::from_errors(errors);
        }
        request.set_parsed_query(operation.document().clone());
        if operation.is_never_merged() {
            request = request.data(WritesJson);
        }
        if operation.is_valid() {
            return self.trusting.execute(request).await;
        }
        let response = self.validating.execute(request).await;
        if was_executed(&response) {
            operation.found_valid();
        }
        response
    }
}

/// Whether a request came so far as to be executed. Errors of parsing, validation and limits have no path, for no field
/// was ever reached.
pub fn was_executed(response: &Response) -> bool {
    response.data != Value::Null || response.errors.iter().any(|error| !error.path.is_empty())
}
