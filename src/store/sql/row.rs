//! A table's row as a type of the domain: its columns are named once, with how each is read and written.

use std::marker::PhantomData;

use diesel::QueryableByName;
use diesel::deserialize::Result;
use diesel::pg::{Pg, PgValue};
use diesel::row::{Field, NamedRow};

use super::column::FromColumn;
use super::statement::Columns;
use super::table::Column;

/// What is read from an answer, column by column.
pub trait Read: Sized + Send + 'static {
    fn read(fields: &mut Fields<'_>) -> Result<Self>;
}

/// What is read from columns of one table, or view.
pub trait Row: Read {
    const TABLE: &'static str;
    /// In the order in which they are read.
    const COLUMNS: &'static [&'static str];
}

/// What is written as rows of one table.
pub trait WriteRow: Row {
    /// The columns that each row is written with, and none of those that few rows have.
    fn columns<'r>(rows: impl Iterator<Item = &'r Self> + Clone) -> Columns;
}

/// The row's columns as a SELECT names them, each after `prefix`.
pub fn select_list<R: Row>(prefix: &str) -> String {
    let mut list = String::with_capacity(R::COLUMNS.len() * 20);
    for (index, column) in R::COLUMNS.iter().enumerate() {
        if index > 0 {
            list.push_str(", ");
        }
        // Quoted: "end" and "interval" are words of SQL.
        list.extend([prefix, "\"", *column, "\""]);
    }
    list
}

/// The columns of one row of an answer, from the first on.
pub struct Fields<'r> {
    row: &'r dyn Answered,
    next: usize,
}

impl Fields<'_> {
    /// Reads a column of a table.
    pub fn column<C: Column, T: FromColumn<C::SqlType>>(&mut self) -> Result<T> {
        self.value::<C::SqlType, T>().map_err(|error| format!("{}: {error}", C::NAME).into())
    }

    /// Reads what a statement answers beside a table's columns.
    pub fn value<ST, T: FromColumn<ST>>(&mut self) -> Result<T> {
        let mut read = None;
        self.row.take(self.next, &mut |value| {
            read = Some(T::from_nullable(value)?);
            Ok(())
        })?;
        self.next = self.next.saturating_add(1);
        read.ok_or_else(|| "there are fewer columns".into())
    }
}

/// A row of an answer, whatever diesel's type of it is.
trait Answered {
    fn take(&self, index: usize, take: &mut dyn FnMut(Option<PgValue<'_>>) -> Result<()>) -> Result<()>;
}

struct Answer<'r, 'a, R>(&'r R, PhantomData<&'a ()>);

impl<'a, R: NamedRow<'a, Pg>> Answered for Answer<'_, 'a, R> {
    fn take(&self, index: usize, take: &mut dyn FnMut(Option<PgValue<'_>>) -> Result<()>) -> Result<()> {
        let field = diesel::row::Row::get(self.0, index).ok_or("there are fewer columns")?;
        take(field.value())
    }
}

/// What diesel reads a row of an answer as.
pub struct Loaded<T>(pub T);

impl<T: Read> QueryableByName<Pg> for Loaded<T> {
    fn build<'a>(row: &impl NamedRow<'a, Pg>) -> Result<Self> {
        T::read(&mut Fields { row: &Answer(row, PhantomData), next: 0 }).map(Self)
    }
}

/// Declares how rows of a table become a type of the domain, and it rows:
///
/// * `kept`: columns that are read and written, each with its type and what of the value it holds,
/// * `written`: columns that are written only, as what they say is in others, too,
/// * `read`: columns that are read only, as they have a default, are changed later, or few rows have them,
///
/// and then the value, made of the columns that were read.
macro_rules! row {
    (
        $table:ident => $domain:ty as $it:ident {
            $(kept { $($kept:ident: $kept_type:ty = $get:expr,)* })?
            $(written { $($written:ident: $written_type:ty = $put:expr,)* })?
            $(read { $($read:ident: $read_type:ty,)* })?
        }
        $build:expr
    ) => {
        $crate::store::sql::row::row! {
            @read $table => $domain { $($($kept: $kept_type,)*)? $($($read: $read_type,)*)? } $build
        }

        impl $crate::store::sql::row::WriteRow for $domain {
            fn columns<'r>(
                rows: impl Iterator<Item = &'r Self> + Clone,
            ) -> $crate::store::sql::statement::Columns {
                use $crate::store::schema::$table as table;
                $crate::store::sql::statement::Columns::new()
                    $($(.put::<table::$written, $written_type>(rows.clone().map(|$it| $put)))*)?
                    $($(.put_wire::<table::$kept, $kept_type>(rows.clone().map(|$it| {
                        $crate::store::sql::column::ToColumn::<
                            <table::$kept as $crate::store::sql::table::Column>::SqlType,
                        >::wire(&$get)
                    })))*)?
            }
        }
    };
    (
        $table:ident => $domain:ty {
            $($read:ident: $read_type:ty,)*
        }
        $build:expr
    ) => {
        $crate::store::sql::row::row! { @read $table => $domain { $($read: $read_type,)* } $build }
    };
    (
        @read $table:ident => $domain:ty { $($read:ident: $type:ty,)* } $build:expr
    ) => {
        impl $crate::store::sql::row::Read for $domain {
            fn read(
                fields: &mut $crate::store::sql::row::Fields<'_>,
            ) -> diesel::deserialize::Result<Self> {
                $(let $read: $type = fields.column::<$crate::store::schema::$table::$read, _>()?;)*
                Ok($build)
            }
        }

        impl $crate::store::sql::row::Row for $domain {
            const TABLE: &'static str = $crate::store::schema::$table::NAME;
            const COLUMNS: &'static [&'static str] = &[$(
                <$crate::store::schema::$table::$read as $crate::store::sql::table::Column>::NAME,
            )*];
        }
    };
}
pub(crate) use row;

/// Declares how what a statement answers beside a table's columns is read: each value in the order of its SELECT, as a type of the domain
/// and of SQL, and then the whole.
macro_rules! answered {
    ($answer:ty { $($value:ident: $type:ty as $sql:ty,)* } $build:expr) => {
        impl $crate::store::sql::row::Read for $answer {
            fn read(
                fields: &mut $crate::store::sql::row::Fields<'_>,
            ) -> diesel::deserialize::Result<Self> {
                $(let $value = fields.value::<$sql, $type>()?;)*
                Ok($build)
            }
        }
    };
}
pub(crate) use answered;
