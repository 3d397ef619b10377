//! What a request may ask for at once.

use std::time::Duration;

/// How deep, how costly and how long a request may be.
#[derive(Debug, Clone)]
pub struct Limits {
    pub depth_max: usize,
    /// A field costs 1; what is below a list costs as often as its page is long (graphql/runtime/cost.rs).
    pub complexity_max: usize,
    pub aliases_max: usize,
    pub directives_max: usize,
    /// Nesting of the text itself, fragments and brackets included.
    pub recursion_max: usize,
    pub body_bytes_max: usize,
    /// A body is there as a whole within this time.
    pub body_time_max: Duration,
    /// The text of a query alone.
    pub query_bytes_max: usize,
    /// Names, values and punctuation of a query's text.
    pub query_tokens_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            depth_max: 20,
            complexity_max: 50_000,
            aliases_max: 100,
            directives_max: 50,
            recursion_max: 32,
            // Room for the 10,000 events of one call.
            body_bytes_max: 8 * 1024 * 1024,
            body_time_max: Duration::from_secs(20),
            // Some fifty times GraphiQL's own look at the schema.
            query_bytes_max: 128 * 1024,
            query_tokens_max: 15_000,
        }
    }
}

/// The errors that an answer has at most; the last tells how many there are more.
pub const ERRORS_MAX: usize = 50;

/// The most things on a page.
pub const PAGE_SIZE_MAX: i32 = 100;
/// The things on a page where nobody says how many.
pub const PAGE_SIZE_DEFAULT: i32 = 10;
