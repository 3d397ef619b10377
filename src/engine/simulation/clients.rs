//! Who asks: patient, or not; of one server, and then of the other.

use std::sync::Arc;
use std::time::Duration;

use rust_decimal::Decimal;
use tokio::time::Instant;

use super::dice::Dice;
use super::ground::ACCOUNTS;
use super::model::{Model, POISON, SOON};
use super::server::Server;
use crate::domain::command::Command;
use crate::domain::decide::{Action, AdjustBalance, Recharge};
use crate::domain::ids::AccountId;
use crate::engine::engine_error::EngineError;
use crate::engine::request::Priority;

/// Nobody gives a server up before (`Patience::elsewhere_after`).
const GIVEN_UP_AFTER_MIN: Duration = Duration::from_millis(120);

/// What a client knows of a key when it asks no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyOutcome {
    Done,
    /// It was decided against.
    Refused,
    /// Each time it was asked it was told that nothing was done.
    NotDone,
    Unknown,
}

/// What was asked under a key, and what is known of it.
#[derive(Debug)]
pub(super) struct KeyReport {
    pub account: AccountId,
    pub key: String,
    pub known: KeyOutcome,
    /// Who asked, and as which of its commands.
    pub by: (u64, u64),
    /// The first answer was that it is done, and nobody was given up for it.
    pub is_in_order: bool,
}

pub(super) struct Client {
    number: u64,
    dice: Dice,
    model: Model,
    servers: Arc<[Arc<Server>; 2]>,
}

impl Client {
    pub fn new(number: u64, dice: Dice, model: Model, servers: Arc<[Arc<Server>; 2]>) -> Self {
        Self { number, dice, model, servers }
    }

    /// Asks on until the store has seen so many statements.
    pub async fn run(mut self, statements: u64) -> Vec<KeyReport> {
        let mut told = Vec::new();
        for count in 0.. {
            if self.model.state().statements >= statements {
                break;
            }
            tokio::time::sleep(self.dice.millis(200)).await;
            let account = AccountId(1 + self.dice.below(ACCOUNTS as u64) as i64);
            let key = format!("{}-{count}", self.number);
            let command = self.command(account, &key);
            told.push(self.ask_for(command, key, count).await);
        }
        told
    }

    fn command(&mut self, account: AccountId, key: &str) -> Command {
        let reason = if self.dice.one_in(60) { format!("{key} {POISON}") } else { key.to_owned() };
        let amount = Decimal::from(1 + self.dice.below(9));
        let action = if self.dice.one_in(2) {
            Action::Recharge(Recharge { amount, payment_method: "sandbox".to_owned(), reason: Some(reason) })
        } else {
            Action::AdjustBalance(AdjustBalance { amount: -amount, reason, force: false })
        };
        Command { account, key: Some(key.to_owned()), dry_run: false, asked_by: None, action }
    }

    /// Asks, and asks again as long as it pleases.
    async fn ask_for(&mut self, command: Command, key: String, count: u64) -> KeyReport {
        let account = command.account;
        let mut known = KeyOutcome::NotDone;
        let mut is_in_order = false;
        for attempt in 0..6 {
            let answer = self.ask(&command).await;
            known =
                match answer {
                    Some(Ok(())) => KeyOutcome::Done,
                    Some(Err(EngineError::Refused(_))) => KeyOutcome::Refused,
                    Some(Err(
                        EngineError::Overloaded | EngineError::Unavailable(_) | EngineError::Failed(_),
                    )) if known == KeyOutcome::NotDone => KeyOutcome::NotDone,
                    _ => KeyOutcome::Unknown,
                };
            is_in_order = attempt == 0 && known == KeyOutcome::Done;
            let is_known = known != KeyOutcome::Unknown;
            if self.dice.one_in(if is_known { 2 } else { 8 }) || known == KeyOutcome::Refused {
                break;
            }
            tokio::time::sleep(self.dice.millis(2_000)).await;
        }
        KeyReport { account, key, known, by: (self.number, count), is_in_order }
    }

    /// None: it has not waited for the answer.
    async fn ask(&mut self, command: &Command) -> Option<Result<(), EngineError>> {
        let server = Arc::clone(&self.servers[self.dice.below(2) as usize]);
        let asked = server.lanes.submit(command.clone(), Priority::Interactive, Instant::now());
        let patience = match self.dice.below(6) {
            0 => GIVEN_UP_AFTER_MIN + self.dice.millis(2_000),
            1 => GIVEN_UP_AFTER_MIN + self.dice.millis(60_000),
            _ => Duration::from_secs(100),
        };
        tokio::time::timeout(patience, asked).await.ok().map(|answer| answer.map(drop))
    }
}

/// Asks each server for something for each account; all are answered soon.
pub(super) async fn ask_everybody(model: &Model, servers: &Arc<[Arc<Server>; 2]>) -> Vec<KeyReport> {
    let mut told = Vec::new();
    for (number, server) in servers.iter().enumerate() {
        for account in (1..=ACCOUNTS).map(AccountId) {
            let key = format!("last-{number}");
            let recharge = Recharge {
                amount: Decimal::ONE,
                payment_method: "sandbox".to_owned(),
                reason: Some(key.clone()),
            };
            let action = Action::Recharge(recharge);
            let command = Command { account, key: Some(key.clone()), dry_run: false, asked_by: None, action };
            let before = model.balance(account);
            let asked = server.lanes.submit(command, Priority::Interactive, Instant::now());
            let answer = tokio::time::timeout(SOON, asked).await.expect("nobody waits once nothing fails");
            answer.expect("nothing fails any more");
            assert_eq!(model.balance(account), before + Decimal::ONE);
            let by = (u64::MAX, told.len() as u64);
            told.push(KeyReport { account, key, known: KeyOutcome::Done, by, is_in_order: true });
        }
    }
    told
}
