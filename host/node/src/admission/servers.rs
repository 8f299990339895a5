//! How often a lease is taken while a domain server is in trouble.
//!
//! Leases are asked for without naming a server, so one that is away holds up all; but a task each time, after pauses that
//! grow, keeps work for other servers going and finds out whether that one is well.

use std::time::Duration;

use posemesh_domain_client::Servers;
use posemesh_net::retry::{Backoff, Jitter};
use tokio::time::Instant;

use super::board::{Cause, Trouble};

/// The first pause is up to this long; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// The pauses while servers are in trouble.
#[derive(Debug)]
pub(super) struct ServerPacing {
    servers: Servers,
    backoff: Backoff,
    /// No lease before; none without trouble.
    next: Option<Instant>,
}

impl ServerPacing {
    pub(super) fn new(servers: Servers) -> Self {
        Self { servers, backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE, Jitter::UPPER_HALF), next: None }
    }

    /// The trouble of now, and whether a lease may be taken all the same.
    pub(super) fn look(&mut self) -> (Option<Trouble>, bool) {
        let Some(trouble) = self.servers.trouble() else {
            self.backoff.reset();
            self.next = None;
            return (None, true);
        };
        let may_take = self.next.is_some_and(|next| next <= Instant::now());
        if may_take || self.next.is_none() {
            self.next = Some(Instant::now() + self.backoff.next_delay());
        }
        let text = format!("{trouble}; one lease at a time is taken, after growing pauses");
        (Some(Trouble::new(Cause::Server, text)), may_take)
    }
}
