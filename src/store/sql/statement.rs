//! Statements written as SQL that are prepared once per connection.
//!
//! `diesel::sql_query` is prepared anew at each call. A [`Statement`] is kept by its text in the connection's cache
//! of prepared statements, so its text must come from a bounded set: values are always bound, never written in.
//!
//! What is asked for by keys, of which there are none, is not sent.

use std::borrow::Cow;
use std::marker::PhantomData;

use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::serialize::ToSql;
use diesel::sql_types::{Array, BigInt, HasSqlType, SingleValue, Timestamptz, Uuid as SqlUuid};
use diesel_async::methods::LoadQuery;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use uuid::Uuid;

use super::column::ToColumn;
use super::table::Column;

/// SQL with its values; `ST` are the types of the rows that it answers.
#[derive(Default)]
pub struct Statement<ST = ()> {
    pieces: Vec<Piece>,
    /// Whether it is of keys, or rows, of which there are none.
    of_nothing: bool,
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
        Self { pieces: vec![Piece::Sql(sql.into())], of_nothing: false, rows: PhantomData }
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

    /// Goes on with keys of SQL type `T`, as an array. Of no keys there is nothing to be read or changed.
    pub fn keys<T, V>(mut self, keys: Vec<V>) -> Self
    where
        Pg: HasSqlType<Array<T>>,
        T: SingleValue + 'static,
        Vec<V>: ToSql<Array<T>, Pg>,
        V: Send + Sync + 'static,
    {
        self.of_nothing |= keys.is_empty();
        self.value::<Array<T>, _>(keys)
    }

    /// Whether it has nothing to read or change, and is not to be sent.
    pub fn is_of_nothing(&self) -> bool {
        self.of_nothing
    }

    /// Answers its rows; of nothing there are none.
    pub fn load<'c, U>(self, conn: &mut &'c AsyncPgConnection) -> BoxFuture<'c, QueryResult<Vec<U>>>
    where
        ST: 'static,
        U: Send + 'static,
        Self: LoadQuery<'static, &'c AsyncPgConnection, U>,
    {
        if self.of_nothing {
            return ready(Ok(Vec::new())).boxed();
        }
        let mut conn = *conn;
        async move { RunQueryDsl::load(self, &mut conn).await }.boxed()
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
        Statement { pieces: self.pieces, of_nothing: self.of_nothing, rows: PhantomData }
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
    /// Whether there are no rows.
    of_nothing: bool,
}

impl Columns {
    pub fn new() -> Self {
        Self { names: Vec::new(), arrays: Vec::new(), of_nothing: false }
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
        self.of_nothing |= values.is_empty();
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
        self.unnest(head).1
    }

    /// `INSERT INTO table (columns…) VALUES (…)`, of one row, the first: what it violates is told as such wherever its table
    /// lies (docs/adr/0035).
    pub fn insert_row_into(self, table: &'static str) -> Statement {
        let head = format!("INSERT INTO {table} ({}) VALUES (", self.names.join(", "));
        let mut statement = Statement { of_nothing: self.of_nothing, ..Statement::new(head) };
        for (index, array) in self.arrays.into_iter().enumerate() {
            statement.pieces.push(Piece::Sql(if index == 0 { "(" } else { ", (" }.into()));
            statement.pieces.push(Piece::Value(array));
            statement.pieces.push(Piece::Sql(")[1]".into()));
        }
        statement.sql(")")
    }

    /// `UPDATE table t SET column = u.column, … FROM UNNEST(…) u (…) WHERE t.key = u.key AND …`; the first `keys`
    /// columns are the key.
    pub fn update(self, table: &'static str, keys: usize) -> Statement {
        let (key, changed) = self.names.split_at(keys.min(self.names.len()));
        let assign: Vec<String> = changed.iter().map(|name| format!("{name} = u.{name}")).collect();
        let join: Vec<String> = key.iter().map(|name| format!("t.{name} = u.{name}")).collect();
        let (assign, join) = (assign.join(", "), join.join(" AND "));
        let (names, statement) = self.unnest(format!("UPDATE {table} t SET {assign} FROM "));
        statement.sql(format!(" u ({names}) WHERE {join}"))
    }

    /// `head UNNEST(…) alias (columns…)`, to go on from.
    pub fn after(self, head: impl Into<Cow<'static, str>>, alias: &'static str) -> Statement {
        let (names, statement) = self.unnest(head);
        statement.sql(format!(" {alias} ({names})"))
    }

    /// `head UNNEST(…)`, with the columns' names.
    fn unnest(self, head: impl Into<Cow<'static, str>>) -> (String, Statement) {
        let mut statement = Statement { of_nothing: self.of_nothing, ..Statement::new(head) };
        for (index, array) in self.arrays.into_iter().enumerate() {
            statement.pieces.push(Piece::Sql(if index == 0 { "UNNEST(" } else { ", " }.into()));
            statement.pieces.push(Piece::Value(array));
        }
        (self.names.join(", "), statement.sql(")"))
    }
}

#[cfg(test)]
mod tests {
    use std::iter::{empty, once};

    use super::*;

    fn text<ST>(statement: &Statement<ST>) -> String {
        let sql = diesel::debug_query::<Pg, _>(statement).to_string();
        sql.split(" -- binds").next().unwrap_or_default().to_owned()
    }

    #[test]
    fn what_is_of_no_keys_or_rows_is_of_nothing_however_it_goes_on() {
        let of = |keys: Vec<i64>| {
            Statement::<BigInt>::new("SELECT id FROM accounts WHERE id = ANY(").keys::<BigInt, _>(keys)
        };
        assert!(of(Vec::new()).is_of_nothing());
        assert!(of(Vec::new()).sql(") AND id > ").bigint(7).returning::<BigInt>().is_of_nothing());
        assert!(of(vec![1]).sql(") AND id = ANY(").keys::<BigInt, i64>(Vec::new()).is_of_nothing());
        assert!(!of(vec![1]).sql(")").is_of_nothing());
        // An array that is no key may be empty.
        let but = Statement::<BigInt>::new("SELECT id FROM accounts WHERE id <> ALL(");
        assert!(!but.value::<Array<BigInt>, _>(Vec::<i64>::new()).sql(")").is_of_nothing());

        let columns = |rows: &[i64]| Columns::new().column::<BigInt, _>("id", rows.iter().copied());
        let each: [fn(Columns) -> Statement; 4] = [
            |columns| columns.insert_into("t"),
            |columns| columns.insert_row_into("t"),
            |columns| columns.update("t", 1),
            |columns| columns.after("DELETE FROM t USING ", "k"),
        ];
        for statement in each {
            assert!(statement(columns(&[])).is_of_nothing() && !statement(columns(&[1])).is_of_nothing());
        }
        assert!(!Statement::<BigInt>::new("SELECT 1").is_of_nothing());
    }

    #[test]
    fn rows_become_one_statement_and_one_row_is_values() {
        let columns = || Columns::new().column::<BigInt, _>("id", once(7)).column::<BigInt, _>("n", once(1));
        let inserted = columns().insert_into("t").sql(" RETURNING id");
        assert_eq!(text(&inserted), "INSERT INTO t (id, n) SELECT * FROM UNNEST($1, $2) RETURNING id");
        let row = columns().insert_row_into("t").sql(" ON CONFLICT DO NOTHING");
        assert_eq!(text(&row), "INSERT INTO t (id, n) VALUES (($1)[1], ($2)[1]) ON CONFLICT DO NOTHING");
        let updated = columns().update("t", 1);
        assert_eq!(text(&updated), "UPDATE t t SET n = u.n FROM UNNEST($1, $2) u (id, n) WHERE t.id = u.id");
        let after = columns().after("DELETE FROM t USING ", "k");
        assert_eq!(text(&after), "DELETE FROM t USING UNNEST($1, $2) k (id, n)");
        let none = Columns::new().column::<BigInt, i64>("id", empty());
        assert_eq!(text(&none.insert_into("t")), "INSERT INTO t (id) SELECT * FROM UNNEST($1)");
    }
}
