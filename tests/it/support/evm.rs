//! A local EVM node with two tokens (tests/evm): started once for all tests that share it, and ended with them.

use std::io::{BufRead, BufReader};
use std::num::NonZeroU64;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use abacus::payments::onchain::address::Address;
use abacus::payments::{DepositSettings, TEST_KEY, WrittenSettings};
use serde_json::{Value, json};
use tokio::sync::{Mutex, MutexGuard};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/evm");
/// Two Gwei: twice what the first block asks for, and later ones ask for less.
const GAS_PRICE: &str = "0x77359400";
/// The first bytes of the hash of `transfer(address,uint256)`.
const TRANSFER: &str = "0xa9059cbb";
pub const CONFIRMATIONS: u64 = 4;

pub struct Node {
    pub url: String,
    pub chain_id: u64,
    /// Each as the settings write it.
    pub tokens: Vec<String>,
    contracts: Vec<String>,
    sender: String,
    /// The node ends with its standard input, which ends with this process.
    child: Child,
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The node that tests share, for one of them at a time; None: this machine has none.
pub async fn locked() -> Option<MutexGuard<'static, Node>> {
    static NODE: OnceLock<Option<Mutex<Node>>> = OnceLock::new();
    Some(NODE.get_or_init(|| start().map(Mutex::new)).as_ref()?.lock().await)
}

/// A node of the test's own; None: this machine has none.
pub fn start() -> Option<Node> {
    if !Path::new(FOLDER).join("node_modules/ganache").exists() {
        println!("skipped: no node_modules in {FOLDER} (npm ci --ignore-scripts)");
        return None;
    }
    let started = Command::new("node")
        .arg("evm.mjs")
        .current_dir(FOLDER)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut child) = started else {
        println!("skipped: no node on this machine");
        return None;
    };
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).expect("the node did not start: see its error above");
    let contracts: Vec<String> = ready["tokens"]
        .as_array()
        .unwrap()
        .iter()
        .map(|token| token["address"].as_str().unwrap().to_owned())
        .collect();
    let taken = [("USDT_ERC20", 6), ("ANKR_ERC20", 18)];
    let tokens = taken.iter().zip(&contracts).map(|((asset, places), at)| format!("{asset}:{at}:{places}"));
    Some(Node {
        url: ready["url"].as_str().unwrap().to_owned(),
        chain_id: ready["chainId"].as_u64().unwrap(),
        tokens: tokens.collect(),
        contracts,
        sender: ready["accounts"][0].as_str().unwrap().to_owned(),
        child,
    })
}

impl Node {
    /// The settings of a server that takes its tokens.
    pub fn settings(&self) -> DepositSettings {
        DepositSettings::read(&WrittenSettings {
            key: TEST_KEY,
            url: &self.url,
            chain_id: self.chain_id,
            tokens: &self.tokens,
            confirmations: NonZeroU64::new(CONFIRMATIONS).unwrap(),
            begin_after: None,
        })
        .unwrap()
    }

    /// The same, as a process has them in its environment.
    pub fn environment(&self) -> [(&'static str, String); 5] {
        [
            ("ABACUS_DEPOSIT_KEY", TEST_KEY.to_owned()),
            ("ABACUS_CHAIN_URL", self.url.clone()),
            ("ABACUS_CHAIN_ID", self.chain_id.to_string()),
            ("ABACUS_TOKENS", self.tokens.join(",")),
            ("ABACUS_CONFIRMATIONS", CONFIRMATIONS.to_string()),
        ]
    }

    pub async fn ask(&self, method: &str, params: Value) -> Value {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let answer = reqwest::Client::new().post(&self.url).json(&request).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// Mines so many blocks.
    pub async fn mine(&self, blocks: u64) {
        self.ask("evm_mine", json!([{ "blocks": blocks }])).await;
    }

    /// Sends dollars in millionths (USDT_ERC20), in a block of their own, and answers the transaction.
    pub async fn pay(&self, to: &Value, parts: u128) -> String {
        self.pay_in(0, to, parts).await
    }

    /// Sends parts of a token, in a block of their own, and answers the transaction.
    pub async fn pay_in(&self, token: usize, to: &Value, parts: u128) -> String {
        let to: Address = to.as_str().unwrap().parse().unwrap();
        let word = |digits: &str| format!("{digits:0>64}");
        let data =
            format!("{TRANSFER}{}{}", word(&to.to_string().to_lowercase()[2..]), word(&format!("{parts:x}")));
        let transaction = json!([{
            "from": self.sender,
            "to": self.contracts[token],
            "data": data,
            "gas": "0x186a0",
            // With the node's own, which changes, the same transaction would be another each time.
            "gasPrice": GAS_PRICE,
        }]);
        self.ask("eth_sendTransaction", transaction).await.as_str().unwrap().to_owned()
    }

    pub async fn snapshot(&self) -> String {
        self.ask("evm_snapshot", json!([])).await.as_str().unwrap().to_owned()
    }

    /// Takes the chain back to a snapshot: once.
    pub async fn revert(&self, snapshot: &str) {
        assert_eq!(self.ask("evm_revert", json!([snapshot])).await, json!(true));
    }
}
