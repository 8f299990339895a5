//! The board of a node, shared by its tasks and by whoever asks for leases.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

use crate::servers::board::Board;
use crate::servers::trouble::ServerTrouble;

/// What a node knows of its domain servers. Cloning shares.
///
/// ```
/// use posemesh_domain_client::{DomainClient, DomainSettings};
///
/// let client = DomainClient::new(DomainSettings::default())?;
/// assert_eq!(client.servers().trouble(), None, "no server has failed yet");
/// # Ok::<(), posemesh_domain_client::DomainError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Servers(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    board: Mutex<Board>,
    /// Counts changes.
    changes: watch::Sender<u64>,
}

impl Servers {
    /// The worst trouble at this moment: of several servers the one that is expected to last longest. A lease that is
    /// taken now may well be for that server.
    pub fn trouble(&self) -> Option<ServerTrouble> {
        // `None` is last of all: a call waits for that server, and nobody knows for how long.
        let ends = |trouble: &ServerTrouble| (trouble.until.is_none(), trouble.until);
        self.troubles().into_iter().max_by_key(ends)
    }

    /// All servers that are in trouble at this moment, by their origins.
    pub fn troubles(&self) -> Vec<ServerTrouble> {
        self.0.board.lock().unwrap_or_else(PoisonError::into_inner).troubles(Instant::now())
    }

    /// Tells of changes: trouble that begins, gets worse or is over by news of the server. Trouble that ends by its
    /// [`until`](ServerTrouble::until) is no change. Subscribe before [`Servers::trouble`] is asked.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// Notes something, and tells of it if it changes what is known of trouble.
    pub(super) fn note(&self, note: impl FnOnce(&mut Board) -> bool) {
        self.ask(|board| (note(board), ()));
    }

    /// As [`Servers::note`], with an answer of the board.
    pub(super) fn ask<T>(&self, note: impl FnOnce(&mut Board) -> (bool, T)) -> T {
        let (changed, answer) = note(&mut self.0.board.lock().unwrap_or_else(PoisonError::into_inner));
        if changed {
            self.0.changes.send_modify(|count| *count += 1);
        }
        answer
    }
}
