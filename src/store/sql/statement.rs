//! Statements written as SQL that are prepared once per connection.
//!
//! `diesel::sql_query` is prepared anew at each call. A [`Statement`] is kept by its text in the connection's cache
//! of prepared statements, so its text must come from a bounded set: values are always bound, never written in.

use std::borrow::Cow;
use std::marker::PhantomData;

use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{Array, BigInt, HasSqlType, SingleValue, Timestamptz, Uuid as SqlUuid};
use uuid::Uuid;

use super::column::ToColumn;
use super::table::Column;

/// SQL with its values; `ST` are the types of the rows that it answers.
#[derive(Default)]
pub struct Statement<ST = ()> {
    pieces: Vec<Piece>,
    rows: PhantomData<fn() -> ST>,
}

enum Piece {
    Sql(Cow<'static, str>),
    Value(Box<dyn Bind>),
}

trait Bind: Send + Sync {
    fn push<'b>(&'b self, out: AstPass<'_, 'b, Pg>) -> QueryResult<()>;
}

struct Value<T, V> {
    value: V,
    sql_type: PhantomData<fn() -> T>,
}

impl<T, V> Bind for Value<T, V>
where
    Pg: HasSqlType<T>,
    T: 'static,
    V: ToSql<T, Pg> + Send + Sync,
{
    fn push<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_bind_param::<T, V>(&self.value)
    }
}

impl<ST> Statement<ST> {
    pub fn new(sql: impl Into<Cow<'static, str>>) -> Self {
        Self { pieces: vec![Piece::Sql(sql.into())], rows: PhantomData }
    }

    /// Goes on with more SQL.
    pub fn sql(mut self, sql: impl Into<Cow<'static, str>>) -> Self {
        self.pieces.push(Piece::Sql(sql.into()));
        self
    }

    /// Goes on with a value of SQL type `T`.
    pub fn value<T, V>(mut self, value: V) -> Self
    where
        Pg: HasSqlType<T>,
        T: 'static,
        V: ToSql<T, Pg> + Send + Sync + 'static,
    {
        self.pieces.push(Piece::Value(Box::new(Value { value, sql_type: PhantomData::<fn() -> T> })));
        self
    }

    pub fn bigint(self, value: i64) -> Self {
        self.value::<BigInt, _>(value)
    }

    pub fn uuid(self, value: Uuid) -> Self {
        self.value::<SqlUuid, _>(value)
    }

    pub fn instant(self, value: chrono::DateTime<chrono::Utc>) -> Self {
        self.value::<Timestamptz, _>(value)
    }

    pub fn text(self, value: String) -> Self {
        self.value::<diesel::sql_types::Text, _>(value)
    }

    /// The same, answering rows of other types: after RETURNING.
    pub fn returning<T>(self) -> Statement<T> {
        Statement { pieces: self.pieces, rows: PhantomData }
    }

    /// Goes on with what `more` adds.
    pub fn then(self, more: impl FnOnce(Self) -> Self) -> Self {
        more(self)
    }
}

impl<ST> QueryFragment<Pg> for Statement<ST> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        for piece in &self.pieces {
            match piece {
                Piece::Sql(sql) => out.push_sql(sql),
                Piece::Value(value) => value.push(out.reborrow())?,
            }
        }
        Ok(())
    }
}

impl<ST> QueryId for Statement<ST> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<ST> Query for Statement<ST> {
    type SqlType = ST;
}

impl<Conn, ST> diesel::RunQueryDsl<Conn> for Statement<ST> {}

/// Arrays that become the rows of one statement: `UNNEST` of a column each.
pub struct Columns {
    names: Vec<&'static str>,
    arrays: Vec<Box<dyn Bind>>,
}

impl Columns {
    pub fn new() -> Self {
        Self { names: Vec::new(), arrays: Vec::new() }
    }

    /// Adds the column `name` of SQL type `T`, with a value for each row.
    pub fn column<T, V>(self, name: &'static str, mut values: impl Iterator<Item = V>) -> Self
    where
        Pg: HasSqlType<Array<T>>,
        T: SingleValue + 'static,
        Vec<V>: ToSql<Array<T>, Pg>,
        V: Send + Sync + 'static,
    {
        self.array::<T, V>(name, &mut values)
    }

    /// Collects them, compiled once for each type of value and not for each of the hundreds of columns.
    fn array<T, V>(mut self, name: &'static str, values: &mut dyn Iterator<Item = V>) -> Self
    where
        Pg: HasSqlType<Array<T>>,
        T: SingleValue + 'static,
        Vec<V>: ToSql<Array<T>, Pg>,
        V: Send + Sync + 'static,
    {
        let values: Vec<V> = values.collect();
        self.names.push(name);
        self.arrays.push(Box::new(Value { value: values, sql_type: PhantomData::<fn() -> Array<T>> }));
        self
    }

    /// Adds a column of a table, with a value for each row.
    pub fn put<C, V>(self, values: impl Iterator<Item = V>) -> Self
    where
        C: Column,
        V: ToColumn<C::SqlType>,
        Pg: HasSqlType<Array<C::SqlType>>,
        C::SqlType: SingleValue + 'static,
        Vec<V::Wire>: ToSql<Array<C::SqlType>, Pg>,
    {
        self.put_wire::<C, V>(values.map(|value| value.wire()))
    }

    /// The same of values that are as they go down the wire.
    pub fn put_wire<C, V>(self, values: impl Iterator<Item = V::Wire>) -> Self
    where
        C: Column,
        V: ToColumn<C::SqlType>,
        Pg: HasSqlType<Array<C::SqlType>>,
        C::SqlType: SingleValue + 'static,
        Vec<V::Wire>: ToSql<Array<C::SqlType>, Pg>,
    {
        self.column::<C::SqlType, V::Wire>(C::QUOTED, values)
    }

    /// `INSERT INTO table (columns…) SELECT * FROM UNNEST(…)`.
    pub fn insert_into(self, table: &'static str) -> Statement {
        let head = format!("INSERT INTO {table} ({}) SELECT * FROM ", self.names.join(", "));
        let (_, unnest) = self.unnest();
        let mut statement = Statement::new(head);
        statement.pieces.extend(unnest);
        statement
    }

    /// `UPDATE table t SET column = u.column, … FROM UNNEST(…) u (…) WHERE t.key = u.key AND …`; the first `keys`
    /// columns are the key.
    pub fn update(self, table: &'static str, keys: usize) -> Statement {
        let (key, changed) = self.names.split_at(keys.min(self.names.len()));
        let assign: Vec<String> = changed.iter().map(|name| format!("{name} = u.{name}")).collect();
        let join: Vec<String> = key.iter().map(|name| format!("t.{name} = u.{name}")).collect();
        let (assign, join) = (assign.join(", "), join.join(" AND "));
        let (names, unnest) = self.unnest();
        let mut statement = Statement::new(format!("UPDATE {table} t SET {assign} FROM "));
        statement.pieces.extend(unnest);
        statement.sql(format!(" u ({names}) WHERE {join}"))
    }

    /// `head UNNEST(…) alias (columns…)`, to go on from.
    pub fn after(self, head: impl Into<Cow<'static, str>>, alias: &'static str) -> Statement {
        let (names, unnest) = self.unnest();
        let mut statement = Statement::new(head);
        statement.pieces.extend(unnest);
        statement.sql(format!(" {alias} ({names})"))
    }

    fn unnest(self) -> (String, Vec<Piece>) {
        let mut pieces = Vec::with_capacity(self.arrays.len() * 2 + 1);
        for (index, array) in self.arrays.into_iter().enumerate() {
            pieces.push(Piece::Sql(if index == 0 { "UNNEST(" } else { ", " }.into()));
            pieces.push(Piece::Value(array));
        }
        pieces.push(Piece::Sql(")".into()));
        (self.names.join(", "), pieces)
    }
}
