//! A client that costs little.

use std::io::{Error, ErrorKind};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A keep-alive HTTP connection that sends prepared requests and reads just enough of the answers.
pub struct HttpClient {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl HttpClient {
    pub async fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).await.expect("the server listens");
        stream.set_nodelay(true).expect("TCP_NODELAY");
        Self { stream, buffer: Vec::with_capacity(64 * 1024) }
    }

    pub fn request(token: &str, body: &str) -> Vec<u8> {
        Self::request_to("/graphql", "application/json", token, body)
    }

    pub fn request_to(path: &str, content_type: &str, token: &str, body: &str) -> Vec<u8> {
        format!(
            "POST {path} HTTP/1.1\r\nhost: b\r\nauthorization: Bearer {token}\r\ncontent-type: {content_type}\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }

    /// Sends a request and answers the body of what comes back, which must be 200.
    pub async fn send(&mut self, request: &[u8]) -> &[u8] {
        let (status, body) = self.exchange(request).await.expect("an answer comes");
        assert!(status == 200, "{status}: {}", String::from_utf8_lossy(body));
        body
    }

    /// Sends a request and answers the status and the body of what comes back; a body in chunks with what is between them.
    pub async fn exchange(&mut self, request: &[u8]) -> std::io::Result<(u16, &[u8])> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err(Error::new(ErrorKind::UnexpectedEof, "the server hung up"));
            }
            let Some(head) = find(&self.buffer, b"\r\n\r\n") else { continue };
            let body = head + 4;
            let is_whole = match content_length(&self.buffer[..head]) {
                Some(length) => self.buffer.len() >= body + length,
                None => self.buffer[head..].ends_with(b"\r\n0\r\n\r\n"),
            };
            if is_whole {
                let status = std::str::from_utf8(&self.buffer[9..12]).ok().and_then(|text| text.parse().ok());
                return Ok((status.unwrap_or(0), &self.buffer[body..]));
            }
        }
    }
}

pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(haystack, needle)
}

/// None: it comes in chunks.
fn content_length(head: &[u8]) -> Option<usize> {
    let at = find(head, b"content-length: ").or_else(|| find(head, b"Content-Length: "))? + 16;
    let digits = head[at..].iter().take_while(|b| b.is_ascii_digit());
    Some(digits.fold(0, |n, b| n * 10 + usize::from(b - b'0')))
}
