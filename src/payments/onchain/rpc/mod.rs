//! A chain that is asked by JSON-RPC over HTTP.

mod http;
mod wire;

use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::payments::onchain::chain::{Block, Chain, ChainError, Log, Wanted};
use crate::payments::onchain::transfer::TRANSFER;
use http::Http;
use wire::{BlockForm, LogForm, Quantity, Reply, quantity};

pub use http::BadUrl;

/// JSON-RPC's code for a method that a node does not have.
const NO_SUCH_METHOD: i64 = -32_601;
/// HTTP's status for a request or an answer that is too large.
const CONTENT_TOO_LARGE: u16 = 413;

/// A topic that is left open.
const ANY_SENDER: Value = Value::Null;

/// How much is asked for in one call for events.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub blocks: u64,
    pub recipients: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { blocks: 2_000, recipients: 500 }
    }
}

/// A node of a chain.
#[derive(Debug)]
pub struct Rpc {
    http: Http,
    limits: Limits,
    /// Of how many blocks events are asked for at a time: fewer after a call was too much, or took too long.
    blocks: AtomicU64,
}

impl Rpc {
    /// The node at a URL, which may hold a secret.
    pub fn new(url: &str, limits: Limits) -> Result<Self, BadUrl> {
        Ok(Self { http: Http::new(url)?, limits, blocks: AtomicU64::new(limits.blocks.max(1)) })
    }

    /// Which chain it is of.
    pub async fn chain_id(&self) -> Result<u64, ChainError> {
        self.number("eth_chainId").await
    }

    async fn number(&self, method: &str) -> Result<u64, ChainError> {
        self.present::<Quantity>(method, json!([])).await.map(|quantity| quantity.0)
    }

    async fn block_of(&self, number: u64) -> Result<Option<Block>, ChainError> {
        let whole_transactions = false;
        let block = self
            .ask::<BlockForm>("eth_getBlockByNumber", json!([quantity(number), whole_transactions]))
            .await?;
        match block.map(Block::from) {
            Some(block) if block.number != number => Err(unreadable("another block than was asked for")),
            block => Ok(block),
        }
    }

    /// In as many calls as it takes. Nodes say in many ways that a call is too much: any refusal of more than one block is
    /// taken for it, and fewer are asked for from then on. What is not answered in time may be too much or not: it is tried
    /// once with fewer, and the next time with as few.
    async fn logs(&self, wanted: &Wanted<'_>) -> Result<Vec<Log>, ChainError> {
        let recipients: Vec<String> = wanted.recipients.iter().map(wire::word).collect();
        let limit = self.limits.blocks.max(1);
        let mut blocks = self.blocks.load(Ordering::Relaxed).saturating_mul(2).clamp(1, limit);
        self.blocks.store(blocks, Ordering::Relaxed);
        let mut may_try_fewer = true;
        let mut logs = Vec::new();
        for group in recipients.chunks(self.limits.recipients.max(1)) {
            let (mut from, end) = wanted.blocks.clone().into_inner();
            while from <= end {
                let to = end.min(from.saturating_add(blocks.saturating_sub(1)));
                match self.logs_between(from, to, wanted, group).await {
                    Ok(found) => {
                        logs.extend(found);
                        from = to.saturating_add(1);
                    }
                    Err(error) if from < to && is_too_much(&error) => {
                        blocks = to.abs_diff(from).div_ceil(2);
                        self.blocks.store(blocks, Ordering::Relaxed);
                    }
                    Err(error) if from < to && may_be_too_much(&error) => {
                        blocks = to.abs_diff(from).div_ceil(2);
                        // The next call begins with the double.
                        self.blocks.store(blocks / 2, Ordering::Relaxed);
                        if !std::mem::replace(&mut may_try_fewer, false) {
                            return Err(error);
                        }
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(logs)
    }

    async fn logs_between(
        &self,
        from: u64,
        to: u64,
        wanted: &Wanted<'_>,
        recipients: &[String],
    ) -> Result<impl Iterator<Item = Log>, ChainError> {
        let contracts: Vec<String> = wanted.contracts.iter().map(wire::address).collect();
        let filter = json!({
            "fromBlock": quantity(from),
            "toBlock": quantity(to),
            "address": contracts,
            "topics": [TRANSFER.to_string(), ANY_SENDER, recipients],
        });
        let found = self.present::<Vec<LogForm>>("eth_getLogs", json!([filter])).await?;
        Ok(found.into_iter().map(Log::from))
    }

    async fn present<T: DeserializeOwned>(&self, method: &str, params: Value) -> Result<T, ChainError> {
        self.ask(method, params).await?.ok_or_else(|| unreadable("null, where there always is something"))
    }

    async fn ask<T: DeserializeOwned>(&self, method: &str, params: Value) -> Result<Option<T>, ChainError> {
        let answer = self.http.post(wire::request(method, &params)).await?;
        if !answer.is_success {
            // Some nodes say why in the body of an error.
            let refusal = serde_json::from_slice::<Reply<Value>>(&answer.body).ok().and_then(Reply::refusal);
            return Err(refusal.unwrap_or(ChainError::Status(answer.status)));
        }
        serde_json::from_slice::<Reply<T>>(&answer.body)
            .map_err(|error| unreadable(&error.to_string()))?
            .result()
    }
}

impl Chain for Rpc {
    fn head(&self) -> BoxFuture<'_, Result<u64, ChainError>> {
        self.number("eth_blockNumber").boxed()
    }

    fn block(&self, number: u64) -> BoxFuture<'_, Result<Option<Block>, ChainError>> {
        self.block_of(number).boxed()
    }

    fn transfer_logs<'c>(&'c self, wanted: &'c Wanted<'c>) -> BoxFuture<'c, Result<Vec<Log>, ChainError>> {
        self.logs(wanted).boxed()
    }
}

fn is_too_much(error: &ChainError) -> bool {
    match error {
        ChainError::Refused { code, .. } => *code != NO_SUCH_METHOD,
        ChainError::Status(status) => *status == CONTENT_TOO_LARGE,
        ChainError::TooLarge(_) => true,
        ChainError::Unreachable(_) | ChainError::Unreadable(_) => false,
    }
}

/// Whether fewer blocks may be answered where these were not: what took too long, by our measure or a gateway's.
fn may_be_too_much(error: &ChainError) -> bool {
    matches!(error, ChainError::Unreachable(_) | ChainError::Status(500..))
}

fn unreadable(why: &str) -> ChainError {
    ChainError::Unreadable(why.to_owned())
}

#[cfg(test)]
mod tests;
