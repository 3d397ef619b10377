//! A connection that one transaction after the other is carried out on: how they begin and end.

use diesel_async::SimpleAsyncConnection;
use futures_util::try_join;

use super::Conn;
use super::database::{Database, OwnConnection};
use super::error::StoreError;

/// diesel's manager of transactions has to be alone with the connection while it sends BEGIN, which here goes down the wire together
/// with what follows.
pub struct BatchConnection {
    connection: OwnConnection,
    words: Words,
}

struct Words {
    begin: &'static str,
    commit: &'static str,
    roll_back: &'static str,
}

const WHOLE: Words = Words { begin: "BEGIN", commit: "COMMIT", roll_back: "ROLLBACK" };
/// Within a transaction that never ends.
const WITHIN: Words = Words {
    begin: "SAVEPOINT trial",
    commit: "RELEASE SAVEPOINT trial",
    roll_back: "ROLLBACK TO SAVEPOINT trial",
};

impl BatchConnection {
    pub async fn open(database: &Database) -> Result<Self, StoreError> {
        Ok(Self { connection: database.dedicated_connection().await?, words: WHOLE })
    }

    /// One whose transactions are never committed: what is written goes with the connection.
    pub async fn open_for_trial(database: &Database) -> Result<Self, StoreError> {
        Ok(Self { connection: database.trial_connection().await?, words: WITHIN })
    }

    pub fn conn(&self) -> Conn<'_> {
        &self.connection
    }

    /// Begins a transaction together with its first statement. Where that fails it is still to be rolled back; if it did not begin,
    /// what was locked is free again at once.
    pub async fn begin_with<T>(
        &self,
        first: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let ((), first) = try_join!(self.say(self.words.begin), first)?;
        Ok(first)
    }

    pub async fn commit(&self) -> Result<(), StoreError> {
        self.say(self.words.commit).await
    }

    pub async fn roll_back(&self) -> Result<(), StoreError> {
        self.say(self.words.roll_back).await
    }

    async fn say(&self, words: &str) -> Result<(), StoreError> {
        let mut conn = self.conn();
        Ok(conn.batch_execute(words).await?)
    }
}
