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
use super::pins;
use super::table::Column;

/// SQL with its values; `ST` are the types of the rows that it answers.
#[derive(Default)]
pub struct Statement<ST = ()> {
    pieces: Vec<Piece>,
    /// Which piece is the accounts that it is about, if it is about several.
    accounts: Option<usize>,
    /// Whether it is of keys, or rows, of which there are none.
    of_nothing: bool,
    rows: PhantomData<fn() -> ST>,
}

enum Piece {
    Sql(Cow<'static, str>),
    /// A column of accounts that is among those that the statement is about.
    Pin(&'static str),
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
        Self { pieces: vec![Piece::Sql(sql.into())], accounts: None, of_nothing: false, rows: PhantomData }
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

    /// Goes on with the accounts that it is about, as keys: all of one place (places.rs).
    pub fn accounts(mut self, accounts: Vec<i64>) -> Self {
        pins::check(&accounts);
        self.accounts = Some(self.pieces.len());
        self.keys::<BigInt, _>(accounts)
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
        Statement {
            pieces: self.pieces,
            accounts: self.accounts,
            of_nothing: self.of_nothing,
            rows: PhantomData,
        }
    }

    /// Goes on with what `more` adds.
    pub fn then(self, more: impl FnOnce(Self) -> Self) -> Self {
        more(self)
    }
}

impl<ST> QueryFragment<Pg> for Statement<ST> {
    fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.push(out, pins::are_on())
    }
}

impl<ST> Statement<ST> {
    /// Writes it down, with its pins or without.
    fn push<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>, is_pinned: bool) -> QueryResult<()> {
        let pinned = self.accounts.filter(|_| is_pinned).and_then(|accounts| self.pieces.get(accounts));
        for piece in &self.pieces {
            match (piece, pinned) {
                (Piece::Sql(sql), Some(Piece::Value(accounts))) => {
                    push_pinned(&mut out, sql, &**accounts)?;
                }
                (Piece::Sql(sql), _) => out.push_sql(sql),
                (Piece::Pin(column), Some(Piece::Value(accounts))) => {
                    push_pin(&mut out, column, &**accounts)?;
                }
                (Piece::Pin(_), _) => {}
                (Piece::Value(value), _) => value.push(out.reborrow())?,
            }
        }
        Ok(())
    }
}

/// SQL whose equations of accounts are each followed by the accounts.
fn push_pinned<'b>(out: &mut AstPass<'_, 'b, Pg>, sql: &'b str, accounts: &'b dyn Bind) -> QueryResult<()> {
    let mut written = 0;
    for (end, column) in pins::equations(sql) {
        out.push_sql(sql.get(written..end).unwrap_or_default());
        push_pin(out, column, accounts)?;
        written = end;
    }
    out.push_sql(sql.get(written..).unwrap_or_default());
    Ok(())
}

fn push_pin<'b>(out: &mut AstPass<'_, 'b, Pg>, column: &str, accounts: &'b dyn Bind) -> QueryResult<()> {
    out.push_sql(" AND ");
    out.push_sql(column);
    out.push_sql(" = ANY(");
    accounts.push(out.reborrow())?;
    out.push_sql(")");
    Ok(())
}

impl<ST> QueryId for Statement<ST> {
    type QueryId = ();
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<ST> Query for Statement<ST> {
    type SqlType = ST;
}

impl<Conn, ST> diesel::RunQueryDsl<Conn> for Statement<ST> {}

/// The column that says whose a row is.
const OWNER: &str = "account_id";

/// Arrays that become the rows of one statement: `UNNEST` of a column each, side by side in one SELECT. After FROM each of them would
/// be a function whose answer PostgreSQL keeps in a table of its own: two microseconds for each column of each statement, and 0.1 for
/// each value (docs/adr/0004).
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

    /// Adds the accounts that it is about, one for each row: all of one place (places.rs).
    pub fn accounts(self, accounts: impl Iterator<Item = i64>) -> Self {
        let accounts: Vec<i64> = accounts.collect();
        pins::check(&accounts);
        self.array::<BigInt, i64>(OWNER, &mut accounts.into_iter())
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

    /// `INSERT INTO table (columns…) SELECT UNNEST(…), …`.
    pub fn insert_into(self, table: &'static str) -> Statement {
        let owner = self.names.iter().position(|name| pins::bare(name) == OWNER);
        if let Some(owner) = owner.filter(|_| pins::are_on()) {
            return self.insert_beside_accounts(table, owner);
        }
        let head = format!("INSERT INTO {table} ({}) ", self.names.join(", "));
        self.select(Statement::new(head), OWNER, |_| Cow::Borrowed(")"))
    }

    /// The same, of what accounts own: a cluster sends rows to where their accounts are found, and commits them on that node alone. Rows of
    /// nothing but arrays it copies to the shards, and commits in two phases whatever they are (docs/adr/0040).
    fn insert_beside_accounts(self, table: &'static str, owner: usize) -> Statement {
        let taken = |(place, name): (usize, &&str)| {
            if place == owner { "a.id".to_owned() } else { format!("u.{name}") }
        };
        let columns: Vec<String> = self.names.iter().enumerate().map(taken).collect();
        let (names, columns) = (self.names.join(", "), columns.join(", "));
        let head = format!("INSERT INTO {table} ({names}) SELECT {columns} FROM accounts a JOIN ");
        let mut statement = self.rows(Statement::new(head), OWNER, "u").sql(format!(" ON a.id = u.{OWNER}"));
        statement.pieces.push(Piece::Pin("a.id"));
        statement
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

    /// `UPDATE table t SET column = u.column, … FROM (SELECT UNNEST(…) AS column, …) u WHERE t.key = u.key AND …`; the first
    /// `keys` columns are the key.
    pub fn update(self, table: &'static str, keys: usize) -> Statement {
        let (key, changed) = self.names.split_at(keys.min(self.names.len()));
        let assign: Vec<String> = changed.iter().map(|name| format!("{name} = u.{name}")).collect();
        let join: Vec<String> = key.iter().map(|name| format!("t.{name} = u.{name}")).collect();
        let (assign, join) = (assign.join(", "), join.join(" AND "));
        // An account is what its own row is about.
        let of_accounts = table == "accounts";
        let owner = if of_accounts { "id" } else { OWNER };
        let head = Statement::new(format!("UPDATE {table} t SET {assign} FROM "));
        let mut statement = self.rows(head, owner, "u").sql(format!(" WHERE {join}"));
        if of_accounts {
            statement.pieces.push(Piece::Pin("t.id"));
        }
        statement
    }

    /// `head (SELECT UNNEST(…) AS column, …) alias`, to go on from.
    pub fn after<ST>(self, head: Statement<ST>, alias: &'static str) -> Statement<ST> {
        self.rows(head, OWNER, alias)
    }

    /// The same; of `owner` are the accounts that it is about.
    fn rows<ST>(self, head: Statement<ST>, owner: &str, alias: &'static str) -> Statement<ST> {
        let rows = self.select(head.sql("("), owner, |name| Cow::Owned(format!(") AS {name}")));
        rows.sql(") ").sql(alias)
    }

    /// `head SELECT UNNEST(…), …`, with what ends each.
    fn select<ST>(
        self,
        mut head: Statement<ST>,
        owner: &str,
        ends: impl Fn(&'static str) -> Cow<'static, str>,
    ) -> Statement<ST> {
        head.of_nothing |= self.of_nothing;
        for (index, (name, array)) in self.names.into_iter().zip(self.arrays).enumerate() {
            head.pieces.push(Piece::Sql(if index == 0 { "SELECT UNNEST(" } else { ", UNNEST(" }.into()));
            if pins::bare(name) == owner {
                head.accounts = Some(head.pieces.len());
            }
            head.pieces.push(Piece::Value(array));
            head.pieces.push(Piece::Sql(ends(name)));
        }
        head
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
            |columns| columns.after(Statement::new("DELETE FROM t USING "), "k"),
        ];
        for statement in each {
            assert!(statement(columns(&[])).is_of_nothing() && !statement(columns(&[1])).is_of_nothing());
        }
        assert!(!Statement::<BigInt>::new("SELECT 1").is_of_nothing());
    }

    /// A statement as a cluster has it.
    struct Pinned(Statement);

    impl QueryFragment<Pg> for Pinned {
        fn walk_ast<'b>(&'b self, out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
            self.0.push(out, true)
        }
    }

    fn pinned(statement: Statement) -> String {
        let sql = diesel::debug_query::<Pg, _>(&Pinned(statement)).to_string();
        sql.split(" -- binds").next().unwrap_or_default().to_owned()
    }

    #[test]
    fn for_a_cluster_every_equation_of_accounts_is_followed_by_the_accounts() {
        let lateral = || {
            Statement::<()>::new("SELECT t.id FROM UNNEST(")
                .accounts(vec![1, 2])
                .sql(") k (account_id) CROSS JOIN LATERAL (SELECT id FROM orders t WHERE t.account_id = k.account_id LIMIT ")
                .bigint(3)
                .sql(") t")
        };
        let plain = "SELECT t.id FROM UNNEST($1) k (account_id) CROSS JOIN LATERAL \
                     (SELECT id FROM orders t WHERE t.account_id = k.account_id LIMIT $2) t";
        assert_eq!(text(&lateral()), plain);
        let with = "WHERE t.account_id = k.account_id AND t.account_id = ANY($2) LIMIT $3) t";
        assert_eq!(pinned(lateral()), plain.replace("WHERE t.account_id = k.account_id LIMIT $2) t", with));
        let columns = |owner| {
            let columns =
                Columns::new().column::<BigInt, _>(owner, once(7)).column::<BigInt, _>("n", once(1));
            pinned(columns.update(if pins::bare(owner) == "id" { "accounts" } else { "things" }, 1))
        };
        assert!(columns("id").ends_with("WHERE t.id = u.id AND t.id = ANY($3)"), "{}", columns("id"));
        let quoted = columns(r#""id""#);
        assert!(quoted.ends_with(r#"WHERE t."id" = u."id" AND t.id = ANY($3)"#), "{quoted}");
        let orders = columns("account_id");
        assert!(orders.ends_with("WHERE t.account_id = u.account_id AND t.account_id = ANY($3)"), "{orders}");
        let quoted = columns(r#""account_id""#);
        let ending = r#"WHERE t."account_id" = u."account_id" AND t."account_id" = ANY($3)"#;
        assert!(quoted.ends_with(ending), "{quoted}");
        let columns =
            Columns::new().column::<BigInt, _>("n", once(1)).column::<BigInt, _>(r#""account_id""#, once(7));
        let inserted = pinned(columns.insert_beside_accounts("things", 1).sql(" ON CONFLICT DO NOTHING"));
        let expected = r#"INSERT INTO things (n, "account_id") SELECT u.n, a.id FROM accounts a JOIN (SELECT UNNEST($1) AS n, UNNEST($2) AS "account_id") u ON a.id = u.account_id AND a.id = ANY($3) ON CONFLICT DO NOTHING"#;
        assert_eq!(inserted, expected);
        let one = Statement::<()>::new("SELECT 1 FROM orders t, bills b WHERE b.account_id = t.account_id");
        assert_eq!(pinned(one), "SELECT 1 FROM orders t, bills b WHERE b.account_id = t.account_id");
    }

    #[test]
    fn rows_become_one_statement_and_one_row_is_values() {
        let columns = || Columns::new().column::<BigInt, _>("id", once(7)).column::<BigInt, _>("n", once(1));
        let inserted = columns().insert_into("t").sql(" RETURNING id");
        assert_eq!(text(&inserted), "INSERT INTO t (id, n) SELECT UNNEST($1), UNNEST($2) RETURNING id");
        let row = columns().insert_row_into("t").sql(" ON CONFLICT DO NOTHING");
        assert_eq!(text(&row), "INSERT INTO t (id, n) VALUES (($1)[1], ($2)[1]) ON CONFLICT DO NOTHING");
        let updated = columns().update("t", 1);
        let expected =
            "UPDATE t t SET n = u.n FROM (SELECT UNNEST($1) AS id, UNNEST($2) AS n) u WHERE t.id = u.id";
        assert_eq!(text(&updated), expected);
        let after = columns().after(Statement::<BigInt>::new("DELETE FROM t USING "), "k");
        assert_eq!(text(&after), "DELETE FROM t USING (SELECT UNNEST($1) AS id, UNNEST($2) AS n) k");
        let none = Columns::new().column::<BigInt, i64>("id", empty());
        assert_eq!(text(&none.insert_into("t")), "INSERT INTO t (id) SELECT UNNEST($1)");
    }
}
