//! A request that arrived.

use std::net::SocketAddr;

use axum::http::HeaderMap;
use bytes::Bytes;
use serde_json::Value;

/// A request that arrived with its whole body.
#[derive(Debug, Clone)]
pub struct RecordedRequest {
    /// The method, as `GET`.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// All headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
    /// The client's end of the connection; two requests with the same one shared a connection.
    pub peer: SocketAddr,
}

impl RecordedRequest {
    /// The path without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// Method and target, as `GET /tasks?limit=1`.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.target)
    }

    /// The value of a header; empty if it is absent.
    ///
    /// # Panics
    /// When the value is not text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a header of text"))
    }

    /// The body as JSON; null if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}
