//! What a command says when it fails.

pub(super) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What is wrong with a setting, by its name.
pub(super) fn of_setting<E: std::fmt::Display>(name: &'static str) -> impl Fn(E) -> Failure {
    move |error| format!("{name}: {error}").into()
}
