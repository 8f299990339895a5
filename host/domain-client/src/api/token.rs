//! The task token: the bearer token of one lease, valid at the domain server only (protocol 2 and 3.4).
//!
//! The token comes with the lease, and heartbeat answers rotate it. The domain client reads it before every attempt
//! at a request; when the server refuses it, the client asks for an early heartbeat and waits for the next token.

use posemesh_net::secret::Secret;
use tokio::sync::{Notify, watch};

/// The current token of one task, shared by its heartbeats and its domain client.
///
/// ```
/// use posemesh_domain_client::TaskToken;
/// use posemesh_net::secret::Secret;
///
/// let token = TaskToken::new(Some(Secret::new("first")));
/// token.rotate(Secret::new("second"));
/// token.rotate(Secret::new("second"));
/// assert_eq!(token.current().rotation, 1, "the same token again is no rotation");
/// ```
#[derive(Debug)]
pub struct TaskToken {
    current: watch::Sender<TokenVersion>,
    refresh_wanted: Notify,
}

/// One of the tokens that a task had.
#[derive(Debug, Clone)]
pub struct TokenVersion {
    /// Number of rotations before this token.
    pub rotation: u64,
    /// The token; `None` if the lease came without one.
    pub token: Option<Secret>,
}

impl TaskToken {
    /// Takes the token that came with the lease.
    pub fn new(token: Option<Secret>) -> Self {
        Self {
            current: watch::Sender::new(TokenVersion { rotation: 0, token }),
            refresh_wanted: Notify::new(),
        }
    }

    /// The current token. Requests in flight keep the token that they started with.
    pub fn current(&self) -> TokenVersion {
        self.current.borrow().clone()
    }

    /// Replaces the token. The same token again is no rotation, and a blank one is ignored.
    pub fn rotate(&self, token: Secret) {
        // The token in use is worth more than a blank one, which no request could carry.
        if token.expose().trim().is_empty() {
            return;
        }
        self.current.send_if_modified(|version| {
            let is_new = version.token.as_ref() != Some(&token);
            if is_new {
                *version = TokenVersion { rotation: version.rotation + 1, token: Some(token) };
            }
            is_new
        });
    }

    /// Asks the heartbeats for an early one, since the server refused the current token.
    pub fn want_refresh(&self) {
        // `notify_one` keeps a permit if nobody waits yet, so a request between two heartbeats is not lost;
        // it keeps only one, so many refused requests do not pile up into many heartbeats.
        self.refresh_wanted.notify_one();
    }

    /// Waits until an early heartbeat is wanted; one request is remembered while nobody waits.
    pub async fn refresh_wanted(&self) {
        self.refresh_wanted.notified().await;
    }

    /// Waits for a token with a higher rotation than this. It may wait for ever: give it a timeout.
    pub async fn rotated_since(&self, rotation: u64) -> TokenVersion {
        // `wait_for` looks at the current value first, so a rotation before this call is not missed.
        let mut current = self.current.subscribe();
        // The sender lives in self: waiting can't fail while self is borrowed.
        match current.wait_for(|version| version.rotation > rotation).await {
            Ok(version) => version.clone(),
            Err(_) => self.current(),
        }
    }
}
