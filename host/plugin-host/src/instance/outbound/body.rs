//! Bodies that are counted as they pass.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::StreamExt as _;
use http_body_util::{BodyExt as _, StreamBody};
use posemesh_net::http::cause;
use tokio::sync::OwnedSemaphorePermit;
use wasmtime_wasi_http::{Error, WasiBody};

use crate::manifest::limits::{Limit, LimitReached};

/// What is left of a run's `http_bytes`, both directions together. Cloning shares.
#[derive(Debug, Clone)]
pub(crate) struct HttpBudget {
    shared: Arc<BudgetState>,
}

#[derive(Debug)]
struct BudgetState {
    limit: u64,
    left: AtomicU64,
    reached: AtomicBool,
}

impl HttpBudget {
    /// A budget of which nothing is used.
    pub(crate) fn new(limit: u64) -> Self {
        let shared = BudgetState { limit, left: AtomicU64::new(limit), reached: AtomicBool::new(false) };
        Self { shared: Arc::new(shared) }
    }

    /// Takes bytes that have passed.
    fn take(&self, bytes: usize) -> Result<(), LimitReached> {
        // All or nothing, in one step: bodies of several requests take from the same budget at once.
        let less = |left: u64| left.checked_sub(bytes as u64);
        match self.shared.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less) {
            Ok(_) => Ok(()),
            Err(_) => {
                self.shared.reached.store(true, Ordering::Relaxed);
                Err(self.error())
            }
        }
    }

    /// The limit, if it was reached.
    pub(crate) fn reached(&self) -> Option<LimitReached> {
        self.shared.reached.load(Ordering::Relaxed).then(|| self.error())
    }

    fn error(&self) -> LimitReached {
        LimitReached { limit: Limit::HttpBytes, value: self.shared.limit }
    }

    /// A request's body. Its trailers are left out: hardly a server reads them.
    pub(crate) fn outgoing(&self, body: WasiBody) -> reqwest::Body {
        let budget = self.clone();
        reqwest::Body::wrap_stream(body.into_data_stream().map(move |chunk| {
            let chunk = chunk.map_err(|error| std::io::Error::other(error.to_string()))?;
            budget.take(chunk.len()).map_err(std::io::Error::other)?;
            Ok::<Bytes, std::io::Error>(chunk)
        }))
    }

    /// An answer's body; the permit is held until its end.
    pub(crate) fn incoming(
        &self,
        body: reqwest::Body,
        permit: OwnedSemaphorePermit,
    ) -> impl http_body::Body<Data = Bytes, Error = Error> + Send + use<> {
        let budget = self.clone();
        StreamBody::new(body.into_data_stream().map(move |chunk| {
            // The closure must own the permit, so that it is released with the body and not before.
            let _held = &permit;
            let chunk = chunk.map_err(|error| match error.is_timeout() {
                true => Error::ConnectionReadTimeout,
                false => Error::InternalError(Some(cause(&error))),
            })?;
            budget.take(chunk.len()).map_err(|limit| limit_error(&limit))?;
            Ok(http_body::Frame::data(chunk))
        }))
    }
}

/// A limit as the guest sees it: `wasi:http` has no error of its own for that.
pub(crate) fn limit_error(limit: &LimitReached) -> Error {
    Error::InternalError(Some(limit.to_string()))
}
