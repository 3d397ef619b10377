//! A GraphQL client.

use reqwest::StatusCode;
use serde_json::{Value, json};

#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    pub url: String,
    token: Option<String>,
}

impl Client {
    pub fn new(url: String, token: Option<String>) -> Self {
        Self { http: reqwest::Client::new(), url, token }
    }

    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends a request and answers the status and the whole answer.
    pub async fn post(&self, query: &str, variables: Value) -> (StatusCode, Value) {
        let body = json!({ "query": query, "variables": variables });
        let answer =
            self.request(reqwest::Method::POST, "/graphql").json(&body).send().await.expect("an answer");
        let status = answer.status();
        (status, answer.json().await.expect("the answer is JSON"))
    }

    /// Sends a request and answers the status and the answer's very bytes.
    pub async fn raw(&self, query: &str, variables: &Value) -> (StatusCode, String) {
        let body = json!({ "query": query, "variables": variables });
        let answer =
            self.request(reqwest::Method::POST, "/graphql").json(&body).send().await.expect("an answer");
        (answer.status(), answer.text().await.expect("a text"))
    }

    /// Sends a query and does not mind what becomes of it.
    pub async fn post_anything(&self, query: String) {
        self.post_body(json!({ "query": query }).to_string()).await;
    }

    /// Sends a body of JSON and does not mind what becomes of it.
    pub async fn post_body(&self, body: String) {
        let request =
            self.request(reqwest::Method::POST, "/graphql").header("content-type", "application/json");
        if let Ok(answer) = request.body(body).send().await {
            let _ = answer.bytes().await;
        }
    }

    /// The whole answer to a query.
    pub async fn answer(&self, query: &str) -> Value {
        self.post(query, json!({})).await.1
    }

    /// The data of a query that must succeed.
    pub async fn data(&self, query: &str) -> Value {
        let answer = self.answer(query).await;
        assert!(answer.get("errors").is_none(), "{query}\n{answer:#}");
        answer["data"].clone()
    }

    /// The code of the first error of a query that must fail.
    pub async fn error_code(&self, query: &str) -> String {
        let answer = self.answer(query).await;
        answer["errors"][0]["extensions"]["code"]
            .as_str()
            .unwrap_or_else(|| panic!("{query}\n{answer:#}"))
            .to_owned()
    }

    /// The payload of a mutation, whatever its userErrors say.
    pub async fn payload(&self, mutation: &str, input_type: &str, input: Value, fields: &str) -> Value {
        let (_, answer) = self.try_mutate(mutation, input_type, input, fields).await;
        assert!(answer.get("errors").is_none(), "{mutation}\n{answer:#}");
        answer["data"][mutation].clone()
    }

    /// Sends a mutation and answers the status and the whole answer.
    pub async fn try_mutate(
        &self,
        mutation: &str,
        input_type: &str,
        input: Value,
        fields: &str,
    ) -> (StatusCode, Value) {
        let query = format!(
            "mutation($input: {input_type}!) {{ {mutation}(input: $input) {{ {fields} userErrors {{ path code message }} }} }}"
        );
        self.post(&query, json!({ "input": input })).await
    }

    /// Sends a mutation to a server that may not live to answer.
    pub async fn send(
        &self,
        mutation: &str,
        input_type: &str,
        input: Value,
        fields: &str,
    ) -> Result<Value, reqwest::Error> {
        let query = format!(
            "mutation($input: {input_type}!) {{ {mutation}(input: $input) {{ {fields} userErrors {{ path code message }} }} }}"
        );
        let body = json!({ "query": query, "variables": { "input": input } });
        self.request(reqwest::Method::POST, "/graphql").json(&body).send().await?.json().await
    }

    /// The payload of a mutation that must succeed.
    pub async fn mutate(&self, mutation: &str, input_type: &str, input: Value, fields: &str) -> Value {
        let payload = self.payload(mutation, input_type, input, fields).await;
        assert_eq!(payload["userErrors"], json!([]), "{mutation}");
        payload
    }

    /// The only user error of a mutation that must be refused: its code, and the path joined by dots.
    pub async fn refusal(&self, mutation: &str, input_type: &str, input: Value) -> (String, String) {
        let payload = self.payload(mutation, input_type, input, "__typename").await;
        let errors = payload["userErrors"].as_array().unwrap();
        assert_eq!(errors.len(), 1, "{payload:#}");
        let path = errors[0]["path"]
            .as_array()
            .map(|path| path.iter().map(|part| part.as_str().unwrap()).collect::<Vec<_>>().join("."));
        (errors[0]["code"].as_str().unwrap().to_owned(), path.unwrap_or_default())
    }

    pub async fn checkout(&self, plan: &str, key: &str) -> Value {
        let fields = "order { id number state } bill { id } account { balance { amount status } }";
        self.payload("checkout", "CheckoutInput", json!({ "planId": plan, "idempotencyKey": key }), fields)
            .await
    }
}
