//! The tables of schema.rs as types: each column is one, with its name and its SQL type.
//!
//! schema.rs is what `diesel print-schema` prints, and is read with the macros of this file instead of diesel's: what is needed of a
//! column is its name and its type, and not the hundreds of implementations of a query builder (docs/adr/0030).

/// A column of a table.
pub trait Column {
    type SqlType;
    const NAME: &'static str;
    /// As SQL names it, whatever words SQL has.
    const QUOTED: &'static str;
}

/// A table as `diesel print-schema` prints it: a module with a type for each column.
macro_rules! table {
    ($name:ident ($($key:ident),*) { $($columns:tt)* }) => {
        pub mod $name {
            #![allow(non_camel_case_types, reason = "they are called as the table's columns are")]
            #![allow(dead_code, unused_imports, reason = "not every column is read by itself")]
            use ::diesel::sql_types::*;

            pub const NAME: &str = stringify!($name);
            $crate::store::sql::table::columns! { $($columns)* }
        }
    };
}
pub(crate) use table;

macro_rules! columns {
    () => {};
    (#[sql_name = $sql:literal] $name:ident -> $type:ty, $($rest:tt)*) => {
        $crate::store::sql::table::column!($name, $sql, $type);
        $crate::store::sql::table::columns! { $($rest)* }
    };
    ($name:ident -> $type:ty, $($rest:tt)*) => {
        $crate::store::sql::table::column!($name, stringify!($name), $type);
        $crate::store::sql::table::columns! { $($rest)* }
    };
}
pub(crate) use columns;

macro_rules! column {
    ($name:ident, $sql:expr, $type:ty) => {
        pub enum $name {}

        impl $crate::store::sql::table::Column for $name {
            type SqlType = $type;
            const NAME: &'static str = $sql;
            const QUOTED: &'static str = concat!("\"", $sql, "\"");
        }
    };
}
pub(crate) use column;

/// What it prints of foreign keys is of no use to statements that are written as SQL.
macro_rules! joinable {
    ($($tokens:tt)*) => {};
}
pub(crate) use joinable;
