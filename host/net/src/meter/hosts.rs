//! How each server did in the last minutes, for people who look at a node. Bounded: a lease can name any domain server.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use posemesh_text::one_line;

use super::peer::Peer;

/// How many servers are remembered; the one that was not asked for longest goes.
const MAX_HOSTS: usize = 32;
/// What counts as recent, in minutes.
const MINUTES: usize = 5;
const MINUTE: Duration = Duration::from_secs(60);
/// How much of an error is kept, in bytes.
const ERROR_BYTES: usize = 200;

static HOSTS: Mutex<Hosts> = Mutex::new(Hosts { known: BTreeMap::new() });

/// What is known of the servers that were asked.
struct Hosts {
    known: BTreeMap<(&'static str, String), Host>,
}

/// What is known of one server.
#[derive(Debug)]
struct Host {
    asked: Instant,
    succeeded: Option<Instant>,
    failed: Option<(Instant, String)>,
    /// By the minute: when it began, requests, and those that failed.
    minutes: [Option<(Instant, u64, u64)>; MINUTES],
}

/// One server at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostView {
    /// What kind of server it is: `dds`, `dms` or `domain_server`.
    pub peer: &'static str,
    /// Host and port, and the proxy in between.
    pub host: String,
    /// Requests of the last five minutes.
    pub requests: u64,
    /// Those of them that got no answer, or one that says that the server or this node is in trouble.
    pub failed: u64,
    /// Time since a request was answered well.
    pub succeeded_ago: Option<Duration>,
    /// Time since a request failed, and how.
    pub failed_ago: Option<(Duration, String)>,
}

impl Hosts {
    /// Counts a request; `error` says how it failed.
    fn ended(&mut self, peer: Peer, host: String, error: Option<String>, now: Instant) {
        let key = (peer.as_str(), host);
        if !self.known.contains_key(&key)
            && self.known.len() >= MAX_HOSTS
            && let Some(oldest) =
                self.known.iter().min_by_key(|(_, host)| host.asked).map(|(key, _)| key.clone())
        {
            self.known.remove(&oldest);
        }
        let fresh = || Host { asked: now, succeeded: None, failed: None, minutes: [None; MINUTES] };
        let host = self.known.entry(key).or_insert_with(fresh);
        host.asked = now;
        host.count(error.is_some(), now);
        match error {
            Some(error) => host.failed = Some((now, one_line(error, ERROR_BYTES))),
            None => host.succeeded = Some(now),
        }
    }

    fn view(&self, now: Instant) -> Vec<HostView> {
        let view = |((peer, name), host): (&(&'static str, String), &Host)| {
            let recent = host.minutes.iter().flatten().filter(|(began, ..)| now - *began < MINUTE * 5);
            let (requests, failed) =
                recent.fold((0, 0), |all, (_, requests, failed)| (all.0 + requests, all.1 + failed));
            HostView {
                peer,
                host: name.clone(),
                requests,
                failed,
                succeeded_ago: host.succeeded.map(|at| now - at),
                failed_ago: host.failed.as_ref().map(|(at, error)| (now - *at, error.clone())),
            }
        };
        self.known.iter().map(view).collect()
    }
}

impl Host {
    fn count(&mut self, failed: bool, now: Instant) {
        let current = self.minutes.iter_mut().flatten().find(|(began, ..)| now - *began < MINUTE);
        let minute = match current {
            Some(minute) => minute,
            None => {
                // An empty place, or that of the oldest minute.
                let oldest = self.minutes.iter_mut().min_by_key(|minute| minute.map(|(began, ..)| began));
                let Some(place) = oldest else { return };
                place.insert((now, 0, 0))
            }
        };
        minute.1 += 1;
        minute.2 += u64::from(failed);
    }
}

fn hosts() -> MutexGuard<'static, Hosts> {
    HOSTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts a request to a server; `error` says how it failed.
pub(super) fn ended(peer: Peer, host: String, error: Option<String>) {
    hosts().ended(peer, host, error, Instant::now());
}

/// The servers that were asked since the start, at most the last 32.
pub fn servers() -> Vec<HostView> {
    hosts().view(Instant::now())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn the_last_five_minutes_count_and_the_last_of_each_kind_is_kept() {
        let mut hosts = Hosts { known: BTreeMap::new() };
        let began = Instant::now();
        let at = |secs: u64| began + Duration::from_secs(secs);
        for minute in 0..10 {
            hosts.ended(Peer::Dms, "dms:443".to_owned(), None, at(60 * minute));
            let error = (minute == 7).then(|| "503\u{1b}[2J".to_owned());
            hosts.ended(Peer::Dms, "dms:443".to_owned(), error, at(60 * minute + 1));
        }
        let view = hosts.view(at(60 * 9 + 30));
        assert_eq!((view.len(), view[0].requests, view[0].failed), (1, 10, 1));
        assert_eq!(view[0].succeeded_ago, Some(Duration::from_secs(29)));
        let (ago, error) = view[0].failed_ago.clone().unwrap();
        assert_eq!(ago, Duration::from_secs(149));
        assert!(error.starts_with("503") && !error.contains('\u{1b}'), "{error}");
        assert_eq!(hosts.view(at(3600))[0].requests, 0, "long ago");
    }

    #[test]
    fn any_number_of_servers_takes_no_more_memory() {
        let mut hosts = Hosts { known: BTreeMap::new() };
        let began = Instant::now();
        for number in 0..1000 {
            let host = format!("server-{number}:443");
            hosts.ended(Peer::DomainServer, host, None, began + Duration::from_secs(number));
        }
        let view = hosts.view(began + Duration::from_secs(1000));
        assert_eq!(view.len(), MAX_HOSTS);
        assert!(view.iter().any(|one| one.host == "server-999:443"));
    }
}
