//! The machine token, for whose callers tokio would draw an order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::poll;
use posemesh_net::secret::Secret;
use tokio::time::sleep;

use crate::auth::{AuthError, MachineAuth};

/// Lets callers that waited for the same token go on one after the other, in the order in which they came. They are woken in
/// an order that tokio draws, and a run would not be the same again.
pub(super) struct OneByOne {
    pub(super) auth: Arc<dyn MachineAuth>,
    pub(super) waited: AtomicU64,
}

#[async_trait]
impl MachineAuth for OneByOne {
    async fn bearer(&self) -> Result<Secret, AuthError> {
        let mut bearer = std::pin::pin!(self.auth.bearer());
        match poll!(&mut bearer) {
            Poll::Ready(token) => token,
            Poll::Pending => {
                let turn = self.waited.fetch_add(1, Ordering::Relaxed);
                let token = bearer.await;
                sleep(Duration::from_millis(1 + turn % 61)).await;
                token
            }
        }
    }

    fn on_unauthorized(&self, refused: &Secret) {
        self.auth.on_unauthorized(refused);
    }

    fn on_accepted(&self, token: &Secret) {
        self.auth.on_accepted(token);
    }

    fn on_forbidden(&self) {
        self.auth.on_forbidden();
    }
}
