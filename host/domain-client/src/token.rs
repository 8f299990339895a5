//! The task token: the bearer of one lease, used on the domain server only (protocol 2 and 3.4).
//!
//! It comes with the lease and is rotated by heartbeat answers. Storage reads it before every request;
//! when the server refuses it, storage asks for an early heartbeat and waits for the next one.

use tokio::sync::{Notify, watch};

use posemesh_net::secret::Secret;

/// The current token of one task, shared by its heartbeats and its storage.
#[derive(Debug)]
pub struct TaskToken {
    current: watch::Sender<Held>,
    refresh_wanted: Notify,
}

/// A token and which one of the task's tokens it is.
#[derive(Debug, Clone)]
pub struct Held {
    /// Counts rotations, from 0.
    pub rotation: u64,
    /// The token; none if the lease came without one.
    pub token: Option<Secret>,
}

impl TaskToken {
    /// The token that came with the lease.
    pub fn new(token: Option<Secret>) -> Self {
        Self { current: watch::Sender::new(Held { rotation: 0, token }), refresh_wanted: Notify::new() }
    }

    /// The current token. Requests in flight keep the one that they started with.
    pub fn get(&self) -> Held {
        self.current.borrow().clone()
    }

    /// Puts a rotated token in place. The same token again counts as no rotation, and an empty one is none.
    pub fn rotate(&self, token: Secret) {
        if token.expose().trim().is_empty() {
            return;
        }
        self.current.send_if_modified(|held| {
            let new = held.token.as_ref() != Some(&token);
            if new {
                *held = Held { rotation: held.rotation + 1, token: Some(token) };
            }
            new
        });
    }

    /// Asks the heartbeats for an early one, since the server refused the current token.
    pub fn want_refresh(&self) {
        self.refresh_wanted.notify_one();
    }

    /// Waits until storage wants an early heartbeat (the heartbeats' side).
    pub async fn refresh_wanted(&self) {
        self.refresh_wanted.notified().await;
    }

    /// Waits for a token newer than `rotation`. Give it a timeout.
    pub async fn rotated_since(&self, rotation: u64) -> Held {
        let mut current = self.current.subscribe();
        // The sender lives in self: waiting can't fail while self is borrowed.
        match current.wait_for(|held| held.rotation > rotation).await {
            Ok(held) => held.clone(),
            Err(_) => self.get(),
        }
    }
}
