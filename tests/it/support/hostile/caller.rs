//! A client that costs little, for it shares the machine's cores with the server.

use std::io;
use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One connection, which is kept, and made anew where it was lost.
pub struct Caller {
    address: SocketAddr,
    token: String,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

impl Caller {
    pub fn new(address: SocketAddr, token: &str) -> Self {
        Self { address, token: token.to_owned(), stream: None, buffer: Vec::with_capacity(64 * 1024) }
    }

    /// Sends a body, and answers the status and the body of what comes back.
    pub async fn post(&mut self, body: &str) -> io::Result<(u16, &[u8])> {
        // Of a request that is given up in the middle the connection is lost.
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => connected(self.address).await?,
        };
        let request = format!(
            "POST /graphql HTTP/1.1\r\nhost: abacus\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            self.token,
            body.len()
        );
        stream.write_all(request.as_bytes()).await?;
        self.buffer.clear();
        let (status, begin, end) = loop {
            if stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(whole) = whole(&self.buffer) {
                break whole;
            }
        };
        self.stream = Some(stream);
        Ok((status, &self.buffer[begin..end]))
    }

    /// The data of a document that must succeed.
    pub async fn data(&mut self, query: &str, variables: &Value) -> Value {
        let body = json!({ "query": query, "variables": variables }).to_string();
        let (_, answer) = self.post(&body).await.expect("an answer");
        let answer: Value = serde_json::from_slice(answer).expect("JSON");
        assert!(answer.get("errors").is_none(), "{query}\n{answer:#}");
        answer["data"].clone()
    }

    /// The payload of a mutation that must succeed.
    pub async fn done(&mut self, mutation: &str, input: Value, fields: &str) -> Value {
        let (first, rest) = mutation.split_at(1);
        let input_type = format!("{}{rest}Input", first.to_uppercase());
        let query = format!(
            "mutation($input: {input_type}!) {{ {mutation}(input: $input) {{ {fields} userErrors {{ path code message }} }} }}"
        );
        let payload = self.data(&query, &json!({ "input": input })).await[mutation].clone();
        assert_eq!(payload["userErrors"], json!([]), "{mutation}");
        payload
    }
}

async fn connected(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// The status of an answer that has come whole, and where its body lies.
fn whole(answer: &[u8]) -> Option<(u16, usize, usize)> {
    let head = memchr::memmem::find(answer, b"\r\n\r\n")?;
    let text = std::str::from_utf8(&answer[..head]).ok()?;
    let status = text.split(' ').nth(1)?.parse().ok()?;
    let length: usize = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())?;
    let begin = head + 4;
    (answer.len() >= begin + length).then_some((status, begin, begin + length))
}
