//! One tenant that does the dearest allowed thing again and again, and what its neighbours and the jobs have of it. The test
//! and the benchmark (benches/hostile.rs) do the same with other bounds; so this uses nothing else of either.
#![allow(dead_code)]

pub mod attacks;
pub mod caller;
pub mod siege;
pub mod sown;

pub use siege::Siege;
