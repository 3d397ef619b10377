//! Where the tables lie on a cluster of several machines (Citus), and how they come there (docs/adr/0040).

mod cluster;
pub mod placements;
mod placing;
pub mod plan;

use super::Conn;
use super::database::OwnConnection;
use super::error::StoreError;
use cluster::{cluster, others, set_on_workers, workers_without_settings};
use plan::{Plan, Refused};

/// Why a database is not distributed.
#[derive(Debug, thiserror::Error)]
pub enum NotDistributed {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("the schema is not current: abacus migrate")]
    NotCurrent,
    #[error("others are connected to the database, which have to stop first: {}", .0.join(", "))]
    InUse(Vec<String>),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is to be done on a database so that it is distributed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    pub plan: Plan,
    /// The workers whose sessions are to set what servers' do.
    pub unset: Vec<String>,
}

impl Due {
    pub fn is_nothing(&self) -> bool {
        self.plan.missing.is_empty() && self.unset.is_empty()
    }

    /// Each thing, for people.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = self.plan.lines();
        lines.extend(
            self.unset
                .iter()
                .map(|worker| format!("sessions on {worker} wait for locks and plan as the servers' do")),
        );
        lines
    }
}

/// Whether the database is a node of a cluster.
pub async fn is_cluster(conn: Conn<'_>) -> Result<bool, StoreError> {
    Ok(cluster::version(conn).await?.is_some())
}

/// Whether accounts are spread over the nodes of a cluster.
pub(super) async fn is_spread(conn: Conn<'_>) -> Result<bool, StoreError> {
    Ok(cluster(conn).await?.shards.is_some())
}

/// What there is to do, with so many shards if that is said.
pub async fn due(conn: Conn<'_>, shards: Option<u16>) -> Result<Due, NotDistributed> {
    let plan = Plan::of(&cluster(conn).await?, shards)?;
    Ok(Due { plan, unset: workers_without_settings(conn).await? })
}

/// Does it. Whoever else is connected is not waited for.
pub(super) async fn distribute(
    connection: &mut OwnConnection,
    shards: Option<u16>,
) -> Result<Due, NotDistributed> {
    let due = due(connection, shards).await?;
    if due.plan.missing.is_empty() {
        set_on_workers(connection).await?;
        return Ok(due);
    }
    let others = others(connection).await?;
    if !others.is_empty() {
        return Err(NotDistributed::InUse(others));
    }
    placing::place(connection, &due.plan).await?;
    set_on_workers(connection).await?;
    Ok(due)
}

/// The tables that are missing on the cluster where accounts are distributed: those that a migration has made.
pub(super) async fn left_behind(conn: Conn<'_>) -> Result<Option<Plan>, StoreError> {
    let cluster = cluster(conn).await?;
    if cluster.shards.is_none() {
        return Ok(None);
    }
    let plan = Plan::of(&cluster, None).map_err(|refused| StoreError::Broken(refused.to_string()))?;
    Ok(Some(plan).filter(|plan| !plan.missing.is_empty()))
}

/// Places these, beside servers: nobody uses yet what a migration has made.
pub(super) async fn place(connection: &mut OwnConnection, plan: &Plan) -> Result<(), StoreError> {
    placing::place(connection, plan).await
}
