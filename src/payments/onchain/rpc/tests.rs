use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::payments::onchain::address::Address;
use crate::payments::onchain::chain::Hash;

type Answering = dyn Fn(&Value) -> (u16, String) + Send + Sync;

/// A node that answers as it is told, and keeps what it was asked.
struct FakeNode {
    url: String,
    asked: Arc<Mutex<Vec<Value>>>,
}

impl FakeNode {
    async fn start(answer: impl Fn(&Value) -> (u16, String) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v2/s3cret", listener.local_addr().unwrap());
        let asked: Arc<Mutex<Vec<Value>>> = Arc::default();
        let (kept, answer): (_, Arc<Answering>) = (Arc::clone(&asked), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serve(stream, Arc::clone(&answer), &kept).await;
            }
        });
        Self { url, asked }
    }

    /// A node that answers this result.
    async fn with_result(result: Value) -> Self {
        Self::start(move |_| (200, json!({ "jsonrpc": "2.0", "id": 1, "result": result }).to_string())).await
    }

    fn rpc(&self, limits: Limits) -> Rpc {
        Rpc::new(&self.url, limits).unwrap()
    }
}

async fn serve(mut stream: TcpStream, answer: Arc<Answering>, kept: &Mutex<Vec<Value>>) {
    let request = read_request(&mut stream).await;
    let (status, body) = answer(&request);
    kept.lock().unwrap().push(request);
    let head = format!("HTTP/1.1 {status} OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    // The client goes away in the middle of an answer that is too large.
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(body.as_bytes()).await;
}

async fn read_request(stream: &mut TcpStream) -> Value {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let read = stream.read(&mut buffer).await.unwrap();
        bytes.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&bytes);
        if let Some((_, body)) = text.split_once("\r\n\r\n")
            && let Ok(request) = serde_json::from_str(body)
        {
            return request;
        }
    }
}

fn address(number: u64) -> Address {
    let mut bytes = [0; 20];
    bytes[12..].copy_from_slice(&number.to_be_bytes());
    Address::new(bytes)
}

fn log(block: u64) -> Value {
    let word = |byte: &str| format!("0x{}", byte.repeat(32));
    json!({
        "address": address(1).to_string(),
        "topics": [TRANSFER.to_string(), wire::word(&address(2)), wire::word(&address(3))],
        "data": word("00"),
        "blockNumber": quantity(block),
        "blockHash": word("0a"),
        "transactionHash": word("0b"),
        "transactionIndex": "0x0",
        "logIndex": "0x2",
        "removed": false,
    })
}

fn reply(result: &Value) -> (u16, String) {
    (200, json!({ "jsonrpc": "2.0", "id": 1, "result": result }).to_string())
}

fn refusal(status: u16, code: i64, message: &str) -> (u16, String) {
    (status, json!({ "jsonrpc": "2.0", "id": 1, "error": { "code": code, "message": message } }).to_string())
}

fn range(request: &Value) -> (u64, u64) {
    let number = |name: &str| {
        let text = request["params"][0][name].as_str().unwrap().to_owned();
        Quantity::try_from(text).unwrap().0
    };
    (number("fromBlock"), number("toBlock"))
}

async fn logs(
    rpc: &Rpc,
    blocks: std::ops::RangeInclusive<u64>,
    recipients: u64,
) -> Result<Vec<Log>, ChainError> {
    let recipients: BTreeSet<Address> = (0..recipients).map(address).collect();
    rpc.transfer_logs(&Wanted { blocks, contracts: &[address(1)], recipients: &recipients }).await
}

#[tokio::test]
async fn numbers_and_blocks_are_read() {
    let node = FakeNode::with_result(json!("0x539")).await;
    let rpc = node.rpc(Limits::default());
    assert_eq!(rpc.chain_id().await, Ok(1_337));
    assert_eq!(rpc.head().await, Ok(1_337));
    let asked = node.asked.lock().unwrap().clone();
    assert_eq!(asked[0], json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": [] }));

    let hash = |byte: &str| format!("0x{}", byte.repeat(32));
    let block = json!({ "number": "0x10", "hash": hash("01"), "parentHash": hash("02"), "timestamp": "0x65", "size": "0x1" });
    let node = FakeNode::with_result(block).await;
    let rpc = node.rpc(Limits::default());
    let (hash, parent_hash) = (Hash::new([1; 32]), Hash::new([2; 32]));
    assert_eq!(rpc.block(16).await, Ok(Some(Block { number: 16, hash, parent_hash, timestamp: 101 })));
    assert!(matches!(rpc.block(17).await, Err(ChainError::Unreadable(_))));
    assert_eq!(node.asked.lock().unwrap()[0]["params"], json!(["0x10", false]));
}

#[tokio::test]
async fn null_is_no_block_and_no_number() {
    let node = FakeNode::with_result(Value::Null).await;
    let rpc = node.rpc(Limits::default());
    assert_eq!(rpc.block(1).await, Ok(None));
    assert!(matches!(rpc.head().await, Err(ChainError::Unreadable(_))));
}

#[tokio::test]
async fn a_node_that_is_not_there_is_unreachable_and_its_url_is_not_told() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v2/s3cret", listener.local_addr().unwrap());
    drop(listener);
    let rpc = Rpc::new(&url, Limits::default()).unwrap();
    let error = rpc.head().await.unwrap_err();
    assert!(matches!(&error, ChainError::Unreachable(why) if why.contains("refused")), "{error}");
    assert!(!format!("{error:?} {rpc:?}").contains("s3cret"));
}

#[tokio::test]
async fn what_a_node_refuses_is_told() {
    let refused = |code, message: &str| Err(ChainError::Refused { code, message: message.to_owned() });
    let node = FakeNode::start(|_| refusal(200, -32_000, "header not found")).await;
    assert_eq!(node.rpc(Limits::default()).head().await, refused(-32_000, "header not found"));
    let node = FakeNode::start(|_| refusal(400, -32_600, "no")).await;
    assert_eq!(node.rpc(Limits::default()).head().await, refused(-32_600, "no"));
    let node = FakeNode::start(|_| (502, "<html>".to_owned())).await;
    assert_eq!(node.rpc(Limits::default()).head().await, Err(ChainError::Status(502)));
}

#[tokio::test]
async fn answers_of_another_form_are_unreadable() {
    let answers = [
        "",
        "<html>",
        "{}",
        "[]",
        r#"{"id":2,"result":"0x1"}"#,
        r#"{"id":1,"result":7}"#,
        r#"{"id":1,"result":"0x+1"}"#,
        r#"{"id":1,"result":"0x10000000000000000"}"#,
    ];
    for answer in answers {
        let node = FakeNode::start(move |_| (200, answer.to_owned())).await;
        let head = node.rpc(Limits::default()).head().await;
        assert!(matches!(head, Err(ChainError::Unreadable(_))), "{answer}: {head:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_not_read_to_its_end() {
    let node = FakeNode::start(|_| (200, " ".repeat(http::ANSWER_MAX + 1))).await;
    assert_eq!(node.rpc(Limits::default()).head().await, Err(ChainError::TooLarge(http::ANSWER_MAX)));
}

#[tokio::test]
async fn events_are_asked_for_by_contract_and_recipient() {
    let node = FakeNode::start(|_| reply(&json!([log(7)]))).await;
    let found = logs(&node.rpc(Limits::default()), 5..=9, 2).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(
        found[0].block,
        crate::payments::onchain::chain::BlockRef { number: 7, hash: Hash::new([10; 32]) }
    );
    assert_eq!((found[0].contract, found[0].index, found[0].removed), (address(1), 2, false));
    let filter = json!([{
        "fromBlock": "0x5",
        "toBlock": "0x9",
        "address": ["0x0000000000000000000000000000000000000001"],
        "topics": [TRANSFER.to_string(), null, [wire::word(&address(0)), wire::word(&address(1))]],
    }]);
    assert_eq!(node.asked.lock().unwrap()[0]["params"], filter);
}

#[tokio::test]
async fn many_recipients_and_blocks_take_several_calls() {
    let node = FakeNode::start(|_| reply(&json!([]))).await;
    logs(&node.rpc(Limits { blocks: 10, recipients: 2 }), 1..=25, 5).await.unwrap();
    let asked = node.asked.lock().unwrap().clone();
    let ranges: Vec<(u64, u64)> = asked.iter().map(range).collect();
    assert_eq!(ranges, [(1, 10), (11, 20), (21, 25)].repeat(3));
    let recipients: Vec<usize> =
        asked.iter().map(|request| request["params"][0]["topics"][2].as_array().unwrap().len()).collect();
    assert_eq!(recipients, [2, 2, 2, 2, 2, 2, 1, 1, 1]);
}

#[tokio::test]
async fn fewer_blocks_are_asked_for_where_it_is_too_much() {
    let node = FakeNode::start(|request| {
        let (from, to) = range(request);
        if to - from >= 3 {
            refusal(200, -32_005, "more than 10000 results")
        } else {
            reply(&json!([log(from)]))
        }
    });
    let node = node.await;
    let found = logs(&node.rpc(Limits::default()), 1..=8, 1).await.unwrap();
    let blocks: Vec<u64> = found.iter().map(|log| log.block.number).collect();
    assert_eq!(blocks, [1, 3, 5, 7]);
    let ranges: Vec<(u64, u64)> = node.asked.lock().unwrap().iter().map(range).collect();
    assert_eq!(ranges, [(1, 8), (1, 4), (1, 2), (3, 4), (5, 6), (7, 8)]);
}

#[tokio::test]
async fn what_a_gateway_gives_up_on_is_asked_for_in_fewer_blocks_the_next_time() {
    let node = FakeNode::start(|request| {
        let (from, to) = range(request);
        if to - from >= 4 { (504, "<html>".to_owned()) } else { reply(&json!([log(from)])) }
    });
    let node = node.await;
    let rpc = node.rpc(Limits { blocks: 16, ..Limits::default() });
    assert_eq!(logs(&rpc, 1..=16, 1).await, Err(ChainError::Status(504)));
    for _ in 0..2 {
        assert_eq!(logs(&rpc, 1..=16, 1).await.unwrap().len(), 4);
    }
    let ranges: Vec<(u64, u64)> = node.asked.lock().unwrap().iter().map(range).collect();
    let answered = [(1, 4), (5, 8), (9, 12), (13, 16)];
    assert_eq!(ranges[..2], [(1, 16), (1, 8)]);
    assert_eq!((&ranges[2..6], ranges[6], &ranges[7..]), (&answered[..], (1, 8), &answered[..]));
}

#[tokio::test]
async fn a_node_that_refuses_each_block_is_not_asked_for_ever() {
    let node = FakeNode::start(|_| refusal(200, -32_005, "no")).await;
    let found = logs(&node.rpc(Limits::default()), 1..=2_000, 1).await;
    assert!(matches!(found, Err(ChainError::Refused { code: -32_005, .. })));
    assert!(node.asked.lock().unwrap().len() <= 13);
}

#[tokio::test]
async fn a_node_that_is_asked_too_often_is_left_alone() {
    let node = FakeNode::start(|_| refusal(429, -32_005, "rate limited")).await;
    assert_eq!(logs(&node.rpc(Limits::default()), 1..=2_000, 1).await, Err(ChainError::Status(429)));
    assert_eq!(node.asked.lock().unwrap().len(), 1);
}

#[test]
fn what_is_no_url_of_a_node() {
    for url in ["", "localhost:8545", "ftp://host/s3cret", "http://", "/path"] {
        assert_eq!(Rpc::new(url, Limits::default()).unwrap_err(), BadUrl, "{url}");
    }
}
