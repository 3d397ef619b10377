//! What browsers on other origins, proxies and people who read logs find in answers.

use abacus::http::AllowedOrigins;
use reqwest::header::HeaderMap;
use reqwest::{Method, Response, StatusCode};
use serde_json::json;

use crate::support::{Client, TestServer};

const CONSOLE: &str = "https://console.example.com";

async fn server_for(origins: &[&str]) -> TestServer {
    let origins: Vec<String> = origins.iter().map(|origin| (*origin).to_owned()).collect();
    let cors_origins = AllowedOrigins::parse(&origins).unwrap();
    TestServer::with(|config| config.cors_origins = cors_origins).await
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

/// What a browser asks before a page of an origin may send a query with a token.
async fn preflight(client: &Client, path: &str, origin: &str) -> Response {
    client
        .request(Method::OPTIONS, path)
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type")
        .send()
        .await
        .unwrap()
}

async fn asked(client: &Client, origin: &str) -> Response {
    let query = json!({ "query": "{ __typename }" });
    client.request(Method::POST, "/graphql").header("origin", origin).json(&query).send().await.unwrap()
}

#[tokio::test]
async fn pages_of_the_origins_that_are_let_in_may_ask_and_read_and_no_others() {
    let server = server_for(&[CONSOLE, "http://localhost:5173"]).await;
    let client = server.client_with(None);
    for origin in [CONSOLE, "http://localhost:5173"] {
        for path in ["/graphql", "/usage"] {
            let answer = preflight(&client, path, origin).await;
            assert_eq!(answer.status(), StatusCode::OK, "{path}");
            let headers = answer.headers();
            assert_eq!(header(headers, "access-control-allow-origin"), Some(origin));
            assert!(header(headers, "access-control-allow-methods").unwrap().contains("POST"));
            assert_eq!(header(headers, "access-control-allow-headers"), Some("authorization,content-type"));
            assert_eq!(header(headers, "access-control-allow-credentials"), None);
        }
        let answer = asked(&client, origin).await;
        assert_eq!(header(answer.headers(), "access-control-allow-origin"), Some(origin));
        let shown = header(answer.headers(), "access-control-expose-headers").unwrap();
        assert!(shown.contains("x-request-id") && shown.contains("retry-after"), "{shown}");
    }
    for stranger in ["https://example.com", "https://console.example.com.evil.example", "null"] {
        for answer in [preflight(&client, "/graphql", stranger).await, asked(&client, stranger).await] {
            assert_eq!(header(answer.headers(), "access-control-allow-origin"), None, "{stranger}");
        }
    }
    // What operators' tools ask is for no page.
    let metrics = client.request(Method::GET, "/metrics").header("origin", CONSOLE).send().await.unwrap();
    assert_eq!(header(metrics.headers(), "access-control-allow-origin"), None);
}

#[tokio::test]
async fn without_any_origin_no_other_page_is_let_in_and_with_a_star_all_are() {
    let own = server_for(&[]).await;
    let client = own.client_with(None);
    assert_eq!(preflight(&client, "/graphql", CONSOLE).await.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(header(asked(&client, CONSOLE).await.headers(), "access-control-allow-origin"), None);
    let any = server_for(&["*"]).await;
    let client = any.client_with(None);
    assert_eq!(header(asked(&client, CONSOLE).await.headers(), "access-control-allow-origin"), Some("*"));
}

#[tokio::test]
async fn an_answer_has_the_id_that_its_request_came_with_or_a_new_one() {
    let server = server_for(&[]).await;
    let client = server.client_with(None);
    let id_of = async |given: Option<&str>, path: &str| {
        let mut request = client.request(Method::GET, path);
        if let Some(given) = given {
            request = request.header("x-request-id", given);
        }
        let answer = request.send().await.unwrap();
        header(answer.headers(), "x-request-id").unwrap().to_owned()
    };
    for path in ["/graphql?query={__typename}", "/healthz", "/nowhere"] {
        assert_eq!(id_of(Some("console:42"), path).await, "console:42");
        let [first, second] = [id_of(None, path).await, id_of(None, path).await];
        assert!(first.parse::<uuid::Uuid>().is_ok() && first != second, "{first} {second}");
        assert_ne!(id_of(Some("two words"), path).await, "two words");
    }
}

#[tokio::test]
async fn what_is_long_is_compressed_for_who_takes_that() {
    let server = server_for(&[]).await;
    let operator = server.operator();
    let long = "{ __schema { types { name description fields { name description } } } }";
    for (taken, query, expected) in [
        ("gzip", long, Some("gzip")),
        ("br, gzip", long, Some("br")),
        ("identity", long, None),
        ("gzip", "{ __typename }", None),
    ] {
        let answer = operator
            .request(Method::POST, "/graphql")
            .header("accept-encoding", taken)
            .json(&json!({ "query": query }))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(header(answer.headers(), "content-encoding"), expected, "{taken} {query}");
    }
    // Whoever reads line by line waits for no block to be full.
    let lines = (0..100).map(|number| format!("{{\"id\":\"e{number}\"}}\n")).collect::<String>();
    let answer = operator
        .request(Method::POST, "/usage")
        .header("accept-encoding", "gzip")
        .header("content-type", "application/x-ndjson")
        .body(lines)
        .send()
        .await
        .unwrap();
    assert_eq!(header(answer.headers(), "content-encoding"), None);
}

#[tokio::test]
async fn what_stays_the_same_until_the_next_version_is_sent_once() {
    let server = server_for(&[]).await;
    let client = server.client_with(None);
    let get = async |path: &str, has: Option<&str>| {
        let mut request = client.request(Method::GET, path);
        if let Some(tag) = has {
            request = request.header("if-none-match", tag);
        }
        request.send().await.unwrap()
    };
    let page = get("/graphiql", None).await.text().await.unwrap();
    let app = page.split('"').find(|part| part.starts_with("/graphiql/app.js?v=")).unwrap().to_owned();
    for (path, control) in [
        ("/graphiql", "no-cache"),
        (app.as_str(), "public, max-age=31536000, immutable"),
        ("/graphiql/app.js?v=another", "no-cache"),
        ("/graphiql/examples.json", "no-cache"),
        ("/schema.graphql", "no-cache"),
    ] {
        let answer = get(path, None).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        assert_eq!(header(answer.headers(), "cache-control"), Some(control), "{path}");
        let tag = header(answer.headers(), "etag").unwrap().to_owned();
        assert!(!answer.bytes().await.unwrap().is_empty());
        let again = get(path, Some(&tag)).await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{path}");
        assert_eq!(header(again.headers(), "etag"), Some(tag.as_str()));
        assert!(again.bytes().await.unwrap().is_empty());
        assert_eq!(get(path, Some("W/\"0\"")).await.status(), StatusCode::OK, "{path}");
    }
    let schema = get("/schema.graphql", None).await;
    assert_eq!(header(schema.headers(), "content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(schema.text().await.unwrap(), std::fs::read_to_string("schema.graphql").unwrap());
}

#[tokio::test]
async fn a_query_that_was_sent_along_with_its_hash_is_known_by_that_from_then_on() {
    let server = server_for(&[]).await;
    server.account("tenant", "10").await;
    let customer = server.customer("tenant");
    let text = "query Own($with: Boolean!) { account { namespace id @include(if: $with) } }";
    let hash = data_encoding::HEXLOWER.encode(&<sha2::Sha256 as sha2::Digest>::digest(text));
    let extensions = json!({ "persistedQuery": { "version": 1, "sha256Hash": hash } });
    let variables = json!({ "with": false });
    let post = async |body: serde_json::Value| {
        let answer = customer.request(Method::POST, "/graphql").json(&body).send().await.unwrap();
        (answer.status(), answer.json::<serde_json::Value>().await.unwrap())
    };
    let by_hash = json!({ "extensions": extensions, "variables": variables });
    let (status, unknown) = post(by_hash.clone()).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(unknown["errors"][0]["message"], "PersistedQueryNotFound");
    assert_eq!(unknown["errors"][0]["extensions"]["code"], "PERSISTED_QUERY_NOT_FOUND");
    let mut with_text = by_hash.clone();
    with_text["query"] = json!(text);
    let expected = json!({ "data": { "account": { "namespace": "tenant" } } });
    assert_eq!(post(with_text).await.1, expected);
    assert_eq!(post(by_hash.clone()).await.1, expected);
    let got = customer
        .request(Method::GET, "/graphql")
        .query(&[("extensions", extensions.to_string()), ("variables", variables.to_string())])
        .send()
        .await
        .unwrap();
    assert_eq!(got.json::<serde_json::Value>().await.unwrap(), expected);
    // Whoever is asked by name is asked as who he is.
    let stranger =
        server.client_with(None).request(Method::POST, "/graphql").json(&by_hash).send().await.unwrap();
    let own = stranger.json::<serde_json::Value>().await.unwrap();
    assert_eq!(own["errors"][0]["extensions"]["code"], "UNAUTHENTICATED", "{own}");
    for (wrong, status) in [
        (json!({ "query": "{ __typename }", "extensions": extensions }), StatusCode::BAD_REQUEST),
        (json!({ "extensions": { "persistedQuery": { "version": 1 } } }), StatusCode::BAD_REQUEST),
        (json!({ "extensions": { "persistedQuery": 7 } }), StatusCode::BAD_REQUEST),
        (json!({ "extensions": [] }), StatusCode::BAD_REQUEST),
        (json!({}), StatusCode::BAD_REQUEST),
    ] {
        let (found, answer) = post(wrong.clone()).await;
        assert_eq!(found, status, "{wrong}: {answer}");
        assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_REQUEST", "{wrong}");
    }
}
