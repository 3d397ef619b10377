//! How SQL is written and its answers are read, whatever tables there are.

pub mod column;
pub mod numeric;
pub mod pins;
pub mod row;
pub mod statement;
pub mod table;
