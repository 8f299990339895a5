//! An HTTP server for tests: a script answers each request, and the server remembers what it was asked.
//!
//! ```
//! use posemesh_http_mock::{MockServer, Reply};
//! use serde_json::json;
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let server = MockServer::start(|request, earlier| match (request.path(), earlier) {
//!     ("/tasks", 0) => Reply::status(503),
//!     ("/tasks", _) => Reply::json(&json!({"task": 1})),
//!     _ => Reply::status(404),
//! })
//! .await;
//!
//! let client = posemesh_net::http::client_builder().build()?;
//! let tasks = server.url().join("tasks")?;
//! assert_eq!(client.get(tasks.clone()).send().await?.status(), 503);
//! assert_eq!(client.get(tasks).send().await?.text().await?, r#"{"task":1}"#);
//! assert_eq!(server.requests().len(), 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod log;
mod reply;
mod request;
mod server;

pub use reply::Reply;
pub use request::RecordedRequest;
pub use server::MockServer;
