//! Requests to one URL, with bounds of time and size.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Response, Url, redirect};

use crate::payments::onchain::chain::ChainError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Of a whole request.
const TIMEOUT: Duration = Duration::from_secs(15);
/// Room for some ten thousand events.
pub const ANSWER_MAX: usize = 16 << 20;
/// Statuses about who asks and how often: what the body says makes no difference.
const NOT_NOW: [u16; 3] = [401, 403, 429];

/// Not the URL of a node. It does not repeat the text, which may hold a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the URL of a node is http:// or https:// and a host")]
pub struct BadUrl;

/// Where requests go.
pub struct Http {
    client: Client,
    url: Url,
}

/// What is answered.
pub struct Answer {
    pub status: u16,
    pub is_success: bool,
    pub body: Vec<u8>,
}

impl Http {
    pub fn new(url: &str) -> Result<Self, BadUrl> {
        let url = Url::parse(url).map_err(|_| BadUrl)?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(BadUrl);
        }
        let client = Client::builder().connect_timeout(CONNECT_TIMEOUT).timeout(TIMEOUT);
        let client = client.redirect(redirect::Policy::none()).build().map_err(|_| BadUrl)?;
        Ok(Self { client, url })
    }

    pub async fn post(&self, json: String) -> Result<Answer, ChainError> {
        let request = self.client.post(self.url.clone()).header(CONTENT_TYPE, "application/json").body(json);
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        if NOT_NOW.contains(&status.as_u16()) {
            return Err(ChainError::Status(status.as_u16()));
        }
        Ok(Answer {
            status: status.as_u16(),
            is_success: status.is_success(),
            body: body_of(response).await?,
        })
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("host", &self.url.host_str()).finish_non_exhaustive()
    }
}

async fn body_of(mut response: Response) -> Result<Vec<u8>, ChainError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len().saturating_add(chunk.len()) > ANSWER_MAX {
            return Err(ChainError::TooLarge(ANSWER_MAX));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// With all causes, and without the URL.
fn unreachable(error: reqwest::Error) -> ChainError {
    let error = error.without_url();
    let causes = std::iter::successors(Some(&error as &dyn Error), |error| (**error).source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    ChainError::Unreachable(texts.join(": "))
}
