//! Requests to Stripe and their answers.

use std::error::Error;

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{RequestBuilder, Response, Url};
use serde::de::DeserializeOwned;

use super::config::{ConfigError, StripeConfig};
use super::failure::Failure;
use super::name::is_name;
use super::params::Params;

/// The version of the API that this module is written for.
const API_VERSION: &str = "2025-03-31.basil";
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// A page of a hundred payments is some 300 KB.
const ANSWER_BYTES_MAX: usize = 4 * 1_024 * 1_024;

/// Asks Stripe.
pub struct Client {
    http: reqwest::Client,
    url: String,
    secret_key: String,
}

impl Client {
    pub fn new(config: &StripeConfig) -> Result<Self, ConfigError> {
        let url = checked_url(config)?;
        if !is_name(&config.secret_key) {
            return Err(ConfigError::Key);
        }
        let http = reqwest::Client::builder()
            .connect_timeout(config.connect_timeout)
            .timeout(config.timeout)
            // Stripe sends nobody elsewhere, and the key is for nobody else.
            .redirect(Policy::none())
            .default_headers(HeaderMap::from_iter([(
                reqwest::header::HeaderName::from_static("stripe-version"),
                HeaderValue::from_static(API_VERSION),
            )]))
            .build()
            .map_err(|error| ConfigError::Client(said_by(error)))?;
        Ok(Self { http, url, secret_key: config.secret_key.clone() })
    }

    /// What is at a path.
    pub async fn get<T: DeserializeOwned>(&self, path: &str, params: Params<'_>) -> Result<T, Failure> {
        let asked = self.get_once(path, &params).await;
        match asked {
            Err(Failure::Refusal(refusal)) if refusal.is_of_spare(&params) => {
                self.get_once(path, &params.without_spare()).await
            }
            asked => asked,
        }
    }

    /// Makes or changes something. With an idempotency key, asking again gets the first answer again.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        params: Params<'_>,
        idempotency_key: Option<&str>,
    ) -> Result<T, Failure> {
        let asked = self.post_once(path, &params, idempotency_key).await;
        match asked {
            Err(Failure::Refusal(refusal)) if refusal.is_of_spare(&params) => {
                // Another request has another key: the first one's may answer its refusal again.
                let key = idempotency_key.map(|key| format!("{key}-plain"));
                self.post_once(path, &params.without_spare(), key.as_deref()).await
            }
            asked => asked,
        }
    }

    async fn get_once<T: DeserializeOwned>(&self, path: &str, params: &Params<'_>) -> Result<T, Failure> {
        self.send(self.http.get(self.at(path)).query(&params.all())).await
    }

    async fn post_once<T: DeserializeOwned>(
        &self,
        path: &str,
        params: &Params<'_>,
        idempotency_key: Option<&str>,
    ) -> Result<T, Failure> {
        let request = self.http.post(self.at(path)).form(&params.all());
        let request = match idempotency_key {
            Some(key) => request.header(IDEMPOTENCY_KEY, key),
            None => request,
        };
        self.send(request).await
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, Failure> {
        let sent = request.bearer_auth(&self.secret_key).send().await;
        let answer = sent.map_err(|error| Failure::Unknown(said_by(error)))?;
        let status = answer.status();
        let body = body_of(answer).await?;
        if !status.is_success() {
            return Err(Failure::of_answer(status.as_u16(), &body));
        }
        let not_understood = |error| Failure::Unknown(format!("an answer that is not understood: {error}"));
        serde_json::from_slice(&body).map_err(not_understood)
    }
}

fn checked_url(config: &StripeConfig) -> Result<String, ConfigError> {
    let not_an_address = || ConfigError::Url(config.url.clone());
    let url = Url::parse(&config.url).map_err(|_| not_an_address())?;
    let is_plain = url.query().is_none() && url.fragment().is_none() && url.has_host();
    match url.scheme() {
        "https" if is_plain => {}
        "http" if is_plain && config.is_live() => return Err(ConfigError::LiveKeyInTheClear),
        "http" if is_plain => {}
        _ => return Err(not_an_address()),
    }
    Ok(config.url.trim_end_matches('/').to_owned())
}

async fn body_of(mut answer: Response) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| Failure::Unknown(said_by(error)))? {
        if body.len().saturating_add(chunk.len()) > ANSWER_BYTES_MAX {
            return Err(Failure::Unknown(format!("an answer of more than {ANSWER_BYTES_MAX} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// An error with its causes. Without the URL, which names customers.
fn said_by(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        said = format!("{said}: {deeper}");
        cause = deeper.source();
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(url: &str, secret_key: &str) -> Result<(), ConfigError> {
        let config = StripeConfig { url: url.to_owned(), ..StripeConfig::of_key(secret_key) };
        Client::new(&config).map(|_| ())
    }

    #[test]
    fn a_live_key_is_sent_over_https_only() {
        assert_eq!(made("http://127.0.0.1:8420", "sk_test_12345"), Ok(()));
        assert_eq!(made("http://127.0.0.1:8420", "sk_live_12345"), Err(ConfigError::LiveKeyInTheClear));
        assert_eq!(made("https://api.stripe.com/", "rk_live_12345"), Ok(()));
    }

    #[test]
    fn what_cannot_be_asked_is_told_at_once() {
        for url in ["", "api.stripe.com", "ftp://api.stripe.com", "https://api.stripe.com?x=1"] {
            assert_eq!(made(url, "sk_test_12345"), Err(ConfigError::Url(url.to_owned())), "{url}");
        }
        for key in ["", "sk_test_1\n", "sk test"] {
            assert_eq!(made("https://api.stripe.com", key), Err(ConfigError::Key), "{key}");
        }
    }

    #[test]
    fn the_key_is_not_printed() {
        assert!(!format!("{:?}", StripeConfig::of_key("sk_test_12345")).contains("12345"));
    }
}
