//! Domain data in single requests.

use posemesh_devnet::{BearerKind, Devnet};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use crate::client::{Node, http, job, read, start};

/// A task token, and the data URL that it is for.
pub(crate) struct Domain {
    http: Client,
    base: String,
    pub(crate) token: String,
}

impl Domain {
    /// Leases a task and uses its token.
    pub(crate) async fn open(devnet: &Devnet, node: &Node) -> Self {
        devnet.submit_job(job()).unwrap();
        let (_, envelope) = node.lease().await;
        let token = envelope["access_token"].as_str().unwrap().to_owned();
        let base = format!("{}/api/v1/domains/{}/data", devnet.domain_server_url(), devnet.domain_id());
        Self { http: http(), base, token }
    }

    pub(crate) fn request(&self, method: Method, rest: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{rest}", self.base));
        request.bearer_auth(&self.token).header("posemesh-client-id", "me")
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        rest: &str,
        body: impl Into<reqwest::Body>,
    ) -> (u16, String) {
        read(self.request(method, rest).body(body).send().await.unwrap()).await
    }

    async fn form(&self, method: Method, disposition: &str, bytes: &str) -> (u16, Value) {
        let body = format!(
            "--boundary\r\nContent-Type: application/octet-stream\r\n\
             Content-Disposition: form-data; {disposition}\r\n\r\n{bytes}\r\n--boundary--\r\n"
        );
        let request =
            self.request(method, "").header("content-type", "multipart/form-data; boundary=boundary");
        let (status, text) = read(request.body(body).send().await.unwrap()).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }
}

#[tokio::test]
async fn data_is_created_listed_updated_and_deleted() {
    let devnet = start(|_| {}).await;
    let node = Node::log_in(&devnet).await;
    let domain = Domain::open(&devnet, &node).await;

    let (status, made) = domain.form(Method::POST, r#"name="a b"; data-type="json""#, "{}").await;
    assert_eq!(status, 200, "{made}");
    let id = made["data"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!((&made["data"][0]["size"], &made["data"][0]["name"]), (&json!(2), &json!("a b")));
    assert_eq!(domain.form(Method::POST, r#"name="a b"; data-type="ply""#, "x").await.0, 409);

    let (status, updated) = domain.form(Method::PUT, &format!("id=\"{id}\""), "longer").await;
    assert_eq!((status, &updated["data"][0]["name"]), (200, &json!("a b")));
    let unknown = format!("id=\"{}\"", devnet.domain_id());
    assert_eq!(domain.form(Method::PUT, &unknown, "x").await.0, 404);

    let query = "?name=a%20b&data_type=json";
    let (_, list) = domain.send(Method::GET, query, "").await;
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!((&list["data"][0]["id"], &list["data"][0]["size"]), (&json!(id), &json!(6)));
    for field in ["domain_id", "created_at", "updated_at", "data_type"] {
        assert!(list["data"][0][field].is_string(), "{field} must be there: {list}");
    }
    assert_eq!(domain.send(Method::GET, "?name=other", "").await.1, r#"{"data":[]}"#);
    assert_eq!(domain.send(Method::GET, "?ids=nonsense", "").await.0, 400);

    let one = format!("/{id}");
    assert_eq!(domain.send(Method::GET, &format!("{one}?raw=true"), "").await.1, "longer");
    assert!(domain.send(Method::GET, &one, "").await.1.contains("\"size\":6"));
    assert_eq!(domain.send(Method::DELETE, &one, "").await.0, 200);
    assert_eq!(domain.send(Method::GET, &one, "").await.0, 404);
    assert!(devnet.list_data().is_empty());
    let seen = devnet.requests().pop().unwrap();
    assert_eq!(seen.header("posemesh-client-id"), Some("me"));
    assert_eq!(seen.header("authorization"), None);
    assert!(matches!(seen.bearer, BearerKind::Task(_)));
}

#[tokio::test]
async fn downloads_are_forms_with_sizes() {
    let devnet = start(|_| {}).await;
    let node = Node::log_in(&devnet).await;
    let domain = Domain::open(&devnet, &node).await;
    let first = devnet.put_data("one", "text", "hello").await.unwrap();
    let large = vec![7; 700_000];
    let second = devnet.put_data("two", "bin", &large).await.unwrap();

    let request = domain.request(Method::GET, &format!("?ids={first},{second}"));
    let response = request.header("accept", "multipart/form-data").send().await.unwrap();
    let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
    let boundary = content_type.strip_prefix("multipart/form-data; boundary=").unwrap().to_owned();
    assert!(boundary.bytes().all(|byte| byte.is_ascii_hexdigit()), "{boundary}");
    let body = response.bytes().await.unwrap();
    let data = devnet.list_data();
    let mut want = Vec::new();
    for (item, bytes) in data.iter().zip([&b"hello"[..], &large]) {
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"; data-type=\"{}\"; id=\"{}\"; \
             domain-id=\"{}\"; size=\"{}\"; created-at=\"{}\"; updated-at=\"{}\"\r\n\
             Content-Type: application/octet-stream\r\n\r\n",
            item.name, item.data_type, item.id, item.domain_id, item.size, item.created_at, item.updated_at
        );
        want.extend([head.as_bytes(), bytes, b"\r\n"].concat());
    }
    want.extend(format!("--{boundary}--\r\n").into_bytes());
    assert!(body == want, "got {} bytes, wanted {}", body.len(), want.len());
}

#[tokio::test]
async fn only_the_current_token_opens_only_its_domain() {
    let devnet = start(|_| {}).await;
    let node = Node::log_in(&devnet).await;
    let mut domain = Domain::open(&devnet, &node).await;
    assert_eq!(domain.send(Method::GET, "", "").await.0, 200);

    let other = domain.base.replace(&devnet.domain_id().to_string(), &devnet.add_domain().to_string());
    let own = std::mem::replace(&mut domain.base, other);
    assert_eq!(domain.send(Method::GET, "", "").await, (403, "invalid domain access token".to_owned()));
    domain.base = own;

    let id = devnet.requests().iter().find_map(|request| match request.bearer {
        BearerKind::Task(id) => Some(id),
        _ => None,
    });
    let (_, answer) = node.heartbeat(id.unwrap(), json!({}), json!([])).await;
    assert_eq!(domain.send(Method::GET, "", "").await.0, 401, "the replaced token is not accepted any more");
    domain.token = answer["access_token"].as_str().unwrap().to_owned();
    assert_eq!(domain.send(Method::GET, "", "").await.0, 200);
    node.report(id.unwrap(), "complete", json!({"output_cids": []})).await;
    assert_eq!(domain.send(Method::GET, "", "").await.0, 401, "the lease is over");
    domain.token = node.token.clone();
    assert_eq!(domain.send(Method::GET, "", "").await.0, 401, "a machine token is not for domains");
    domain.token = devnet.app_token().to_owned();
    assert_eq!(domain.send(Method::GET, "", "").await.0, 200);
}

#[tokio::test]
async fn names_and_sizes_have_limits() {
    let devnet = start(|config| {
        config.request_max_bytes = 1000;
        config.domain_data_max_bytes = 500;
    })
    .await;
    let node = Node::log_in(&devnet).await;
    let domain = Domain::open(&devnet, &node).await;
    let create = |name: &str, size: usize| {
        let (disposition, bytes) = (format!("name=\"{name}\"; data-type=\"t\""), "x".repeat(size));
        let domain = &domain;
        async move { domain.form(Method::POST, &disposition, &bytes).await.0 }
    };
    assert_eq!(create("a", 500).await, 200);
    assert_eq!(create("b", 501).await, 413);
    assert_eq!(create("c", 2000).await, 413);
    assert_eq!(create("d/e", 1).await, 400);
    assert_eq!(create(&"n".repeat(129), 1).await, 400);
    assert_eq!(domain.send(Method::POST, "", "no form").await.0, 400);
    assert_eq!(devnet.list_data().len(), 1, "what is refused leaves nothing behind");

    let info = http().get(format!("{}/api/v1/info", devnet.domain_server_url()));
    let info: Value = serde_json::from_str(&read(info.send().await.unwrap()).await.1).unwrap();
    assert_eq!(info["upload"]["request_max_bytes"], 1000);
    assert_eq!(info["upload"]["multipart"]["enabled"], true);
}
