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
/// How long a clock that was off counts for its kind of server.
const CLOCK_COUNTS: Duration = Duration::from_secs(3600);
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
    /// When it last told its time, and by how many milliseconds that was ahead of this machine's.
    clock: Option<(Instant, i64)>,
    /// By the minute: when it began, requests, and those that failed.
    minutes: [Option<(Instant, u64, u64)>; MINUTES],
}

/// One server at one moment.
#[derive(Debug, Clone, PartialEq)]
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
    /// By how many seconds its clock is ahead of this machine's, by its last answer. To the second: a server says no more.
    pub clock_ahead: Option<f64>,
}

/// How a request ended.
#[derive(Debug, Default)]
struct Ended {
    /// How it failed, if it did.
    error: Option<String>,
    /// By how many milliseconds the server's clock is ahead, if it was told.
    skew_ms: Option<i64>,
}

impl Hosts {
    /// Counts a request.
    fn ended(&mut self, peer: Peer, host: String, ended: Ended, now: Instant) {
        let Ended { error, skew_ms } = ended;
        let key = (peer.as_str(), host);
        if !self.known.contains_key(&key)
            && self.known.len() >= MAX_HOSTS
            && let Some(oldest) =
                self.known.iter().min_by_key(|(_, host)| host.asked).map(|(key, _)| key.clone())
        {
            self.known.remove(&oldest);
        }
        let fresh =
            || Host { asked: now, succeeded: None, failed: None, clock: None, minutes: [None; MINUTES] };
        let host = self.known.entry(key).or_insert_with(fresh);
        host.asked = now;
        host.clock = skew_ms.map(|ahead| (now, ahead)).or(host.clock);
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
                clock_ahead: host.clock.map(|(_, ahead)| seconds(ahead)),
            }
        };
        self.known.iter().map(view).collect()
    }

    /// By how many seconds the clock of a server of this kind is ahead: of the one that is furthest off, or of the last one if
    /// none has answered lately.
    fn skew_seconds(&self, peer: Peer, now: Instant) -> Option<f64> {
        let of_kind = self.known.iter().filter(|((kind, _), _)| *kind == peer.as_str());
        let clocks: Vec<(Instant, i64)> = of_kind.filter_map(|(_, host)| host.clock).collect();
        let recent = clocks.iter().filter(|(at, _)| now - *at < CLOCK_COUNTS);
        let furthest = recent.max_by_key(|(_, ahead)| ahead.unsigned_abs());
        furthest.or_else(|| clocks.iter().max_by_key(|(at, _)| *at)).map(|(_, ahead)| seconds(*ahead))
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

/// Milliseconds as whole seconds.
fn seconds(ms: i64) -> f64 {
    (ms as f64 / 1e3).round()
}

fn hosts() -> MutexGuard<'static, Hosts> {
    HOSTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts a request to a server; `error` says how it failed, `skew_ms` what its clock is ahead if it told its time.
pub(super) fn ended(peer: Peer, host: String, error: Option<String>, skew_ms: Option<i64>) {
    hosts().ended(peer, host, Ended { error, skew_ms }, Instant::now());
}

/// By how many seconds the clock of a server of this kind is ahead.
pub(super) fn skew_seconds(peer: Peer) -> Option<f64> {
    hosts().skew_seconds(peer, Instant::now())
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
            hosts.ended(Peer::Dms, "dms:443".to_owned(), Ended::default(), at(60 * minute));
            let error = (minute == 7).then(|| "503\u{1b}[2J".to_owned());
            hosts.ended(Peer::Dms, "dms:443".to_owned(), Ended { error, skew_ms: None }, at(60 * minute + 1));
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
    fn of_several_clocks_the_one_that_is_furthest_off_counts_for_an_hour() {
        let mut hosts = Hosts { known: BTreeMap::new() };
        let began = Instant::now();
        let at = |secs: u64| began + Duration::from_secs(secs);
        let mut told = |host: &str, skew_ms: i64, secs: u64| {
            let ended = Ended { error: None, skew_ms: Some(skew_ms) };
            hosts.ended(Peer::DomainServer, host.to_owned(), ended, at(secs));
            hosts.ended(Peer::DomainServer, host.to_owned(), Ended::default(), at(secs));
        };
        told("a", -90_000, 0);
        told("b", 2_000, 10);
        let clocks: Vec<_> = hosts.view(at(10)).iter().map(|host| host.clock_ahead).collect();
        assert_eq!(clocks, [Some(-90.0), Some(2.0)]);
        assert_eq!(hosts.skew_seconds(Peer::DomainServer, at(10)), Some(-90.0));
        assert_eq!(hosts.skew_seconds(Peer::DomainServer, at(3605)), Some(2.0), "the first was long ago");
        assert_eq!(
            hosts.skew_seconds(Peer::DomainServer, at(9000)),
            Some(2.0),
            "the last one, without a recent one"
        );
        assert_eq!(hosts.skew_seconds(Peer::Dds, at(10)), None);
    }

    #[test]
    fn any_number_of_servers_takes_no_more_memory() {
        let mut hosts = Hosts { known: BTreeMap::new() };
        let began = Instant::now();
        for number in 0..1000 {
            let host = format!("server-{number}:443");
            hosts.ended(Peer::DomainServer, host, Ended::default(), began + Duration::from_secs(number));
        }
        let view = hosts.view(began + Duration::from_secs(1000));
        assert_eq!(view.len(), MAX_HOSTS);
        assert!(view.iter().any(|one| one.host == "server-999:443"));
    }
}
