//! Aborts a session at the server.

use std::time::Duration;

use reqwest::Method;
use tokio::time::timeout;
use url::Url;

use crate::api::call::ApiCall;
use crate::api::task_client::TaskClient;

/// Time for an abort; after it the session stays until it expires at the server.
pub(super) const ABORT_TIMEOUT: Duration = Duration::from_secs(15);

/// Asks the server to forget a session. A failure is logged: nobody is left who could do more.
pub(super) async fn abort(client: &TaskClient, session_url: Url) {
    // Two attempts only: the end of the task waits for this request, and the server expires sessions itself.
    let call = ApiCall::new("aborting an upload", Method::DELETE, session_url).max_attempts(2).optional();
    let why = match timeout(ABORT_TIMEOUT, client.fetch(&call)).await {
        Ok(Ok(_)) => return,
        // It is not there any more: completed after all, or expired.
        Ok(Err(error)) if matches!(error.status(), Some(404 | 410)) => return,
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer within {ABORT_TIMEOUT:?}"),
    };
    tracing::warn!(
        task_id = %client.task_id(), "an upload session stays at the domain server until it expires: {why}"
    );
}
