//! What the scenarios run on: a cluster, databases with accounts and orders, and a server on each.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use abacus::store::database::Database;

use super::books::Accepted;
use super::sowing::sow_orders;
use super::support::purchases::{customer_tokens, seal_accounts, sow_accounts, sow_plan};
use super::support::{Cluster, ServerProcess, operator_token, order_tree};

/// Accounts of which one at a time is bought for by everybody.
const HOT: Range<u64> = 3_000_000..3_000_100;
/// Accounts whose rows nobody seals, in a database of their own.
pub const BY_HAND: Range<u64> = 1_000_000..1_100_000;

/// What is sown.
pub struct Size {
    /// Accounts that buy and are paid for.
    pub customers: Range<u64>,
    /// Accounts that have orders, and are read.
    pub trees: Range<u64>,
    pub orders_of_each: u64,
    pub bills_of_each: usize,
}

impl Size {
    pub const OF_THE_SUITE: Self = Self {
        customers: 1_000_000..1_100_000,
        trees: 2_000_000..2_010_000,
        orders_of_each: order_tree::ORDERS as u64,
        bills_of_each: order_tree::BILLS,
    };
}

/// A database, and its server.
pub struct Ground {
    pub name: &'static str,
    pub server: ServerProcess,
    pub sql: tokio_postgres::Client,
    pub customers: Range<u64>,
    pub tokens: Arc<Vec<String>>,
    pub trees: Range<u64>,
    pub tree_tokens: Arc<Vec<String>>,
    /// What an answer about an account that is read has.
    pub bills_read: usize,
    pub operator: String,
    pub accepted: Arc<Accepted>,
    hot: AtomicU64,
}

impl Ground {
    pub async fn sow(cluster: &Cluster, name: &'static str, size: Size) -> Self {
        let url = cluster.database(name).await;
        let sql = cluster.client(name).await;
        sow_plan(&sql).await;
        let mut ranges = vec![size.customers.clone(), HOT];
        if !size.customers.contains(&size.trees.start) {
            ranges.push(size.trees.clone());
        }
        let database = Database::new(&url, 1).expect("an address");
        for range in ranges {
            sow_accounts(&sql, range.clone()).await;
            seal_accounts(&database, range).await;
        }
        sql.batch_execute("VACUUM ANALYZE").await.expect("it is analyzed");
        sow_orders(&url, size.trees.clone(), size.orders_of_each, size.bills_of_each).await;
        let count = "SELECT count(*), count(*) FILTER (WHERE state = 'ACTIVE') FROM orders";
        let row = sql.query_one(count, &[]).await.expect("a count");
        let orders = ((size.trees.end - size.trees.start) * size.orders_of_each) as i64;
        assert_eq!((row.get::<_, i64>(0), row.get::<_, i64>(1)), (orders, orders), "what is sown is there");
        sql.batch_execute("VACUUM ANALYZE").await.expect("it is analyzed");
        if let Ok(tried) = std::env::var("ABACUS_SUITE_SQL") {
            sql.batch_execute(&tried).await.expect("what is tried is SQL");
        }
        let size_of_all = "SELECT pg_size_pretty(pg_database_size(current_database()))";
        let takes: String = sql.query_one(size_of_all, &[]).await.expect("a size").get(0);
        println!("the database {name} takes {takes}");
        cluster.settle(name).await;
        Self {
            name,
            server: ServerProcess::start(&url, &["--clients-per-address", "8192"]).await,
            sql,
            tokens: customer_tokens(size.customers.clone()),
            customers: size.customers,
            tree_tokens: customer_tokens(size.trees.clone()),
            trees: size.trees,
            bills_read: order_tree::ORDERS * size.bills_of_each,
            operator: operator_token(),
            accepted: Arc::default(),
            hot: AtomicU64::new(HOT.start),
        }
    }

    /// An account that has not been hot so far.
    pub fn next_hot(&self) -> u64 {
        let account = self.hot.fetch_add(1, Ordering::Relaxed);
        assert!(HOT.contains(&account), "there are accounts left");
        account
    }
}

pub struct World {
    pub cluster: Cluster,
    pub ground: Ground,
}

impl World {
    pub async fn new(cluster: Cluster, ground: Ground) -> Self {
        cluster.database("by_hand").await;
        let by_hand = cluster.client("by_hand").await;
        sow_accounts(&by_hand, BY_HAND).await;
        sow_plan(&by_hand).await;
        by_hand.batch_execute("VACUUM ANALYZE").await.expect("it is analyzed");
        Self { cluster, ground }
    }

    /// PostgreSQL's.
    pub async fn version(&self) -> String {
        let row = self.ground.sql.query_one("SHOW server_version", &[]).await.expect("a version");
        row.get::<_, String>(0).split(' ').next().unwrap_or_default().to_owned()
    }

    pub async fn stop(self) {
        let Self { cluster, ground } = self;
        drop(ground);
        cluster.stop().await;
    }
}
