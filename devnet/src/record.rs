//! What the devnet saw: every request, without its secrets.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderMap, Method, Uri, header};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::faults::FaultId;
use crate::reply::bearer;
use crate::route::Endpoint;
use crate::state::Core;
use crate::tokens::Grant;

/// Whose bearer token a request carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BearerKind {
    /// None at all.
    Missing,
    /// One that the devnet never handed out, or has forgotten.
    Unknown,
    /// The machine token of a node.
    Node(Uuid),
    /// The machine token of a robot.
    Robot(Uuid),
    /// The task token of a task.
    Task(Uuid),
    /// The application's token.
    App,
    /// The application's token for a domain.
    Domain(Uuid),
}

/// A request as it was seen.
#[derive(Debug, Clone)]
pub struct RequestRecord {
    /// Its number, from 0, in the order of arrival.
    pub seq: u64,
    /// When its head had arrived.
    pub at: Instant,
    /// The same by the servers' clock.
    pub time: OffsetDateTime,
    /// How long it took until the head of the answer was ready. None while it is being served.
    pub took: Option<Duration>,
    /// Its method.
    pub method: Method,
    /// Its path as sent.
    pub path: String,
    /// Its query as sent, without the question mark.
    pub query: String,
    /// Which endpoint that is, if one.
    pub endpoint: Option<Endpoint>,
    /// Its headers in order, without `Authorization`.
    pub headers: Vec<(String, String)>,
    /// Whose token it carried.
    pub bearer: BearerKind,
    /// Whether the token was good when the request arrived.
    pub bearer_valid: bool,
    /// A short hash of the token: equal for equal tokens.
    pub bearer_hash: Option<String>,
    /// How many bytes of its body were read so far.
    pub body_bytes: u64,
    /// The status answered. None: not yet, or the connection ended without an answer.
    pub status: Option<u16>,
    /// The faults that hit it.
    pub faults: Vec<FaultId>,
}

impl RequestRecord {
    /// The first value of a header, by its lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Debug)]
struct Kept {
    record: RequestRecord,
    body_bytes: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct Log {
    kept: VecDeque<Kept>,
    next: u64,
}

#[derive(Debug)]
pub(crate) struct Recorder {
    log: Mutex<Log>,
    max: usize,
}

impl Recorder {
    pub(crate) fn new(max: usize) -> Self {
        Self { log: Mutex::default(), max: max.max(1) }
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a request; gives its number and the counter of its body.
    pub(crate) fn begin(
        &self,
        core: &Core,
        (method, uri, headers): (&Method, &Uri, &HeaderMap),
        endpoint: Option<Endpoint>,
        faults: Vec<FaultId>,
    ) -> (u64, Arc<AtomicU64>) {
        let token = bearer(headers);
        let (kind, valid) = match token.map(|token| core.tokens.recall(token)) {
            None => (BearerKind::Missing, false),
            Some(None) => (BearerKind::Unknown, false),
            Some(Some((Grant::Node(id), valid))) => (BearerKind::Node(id), valid),
            Some(Some((Grant::Robot(id), valid))) => (BearerKind::Robot(id), valid),
            Some(Some((Grant::Task { task, .. }, valid))) => (BearerKind::Task(task), valid),
            Some(Some((Grant::App, valid))) => (BearerKind::App, valid),
            Some(Some((Grant::Domain(id), valid))) => (BearerKind::Domain(id), valid),
        };
        let readable = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = headers.iter().filter(|(name, _)| *name != header::AUTHORIZATION);
        let body_bytes = Arc::new(AtomicU64::new(0));
        let mut log = self.log();
        let seq = log.next;
        log.next += 1;
        let record = RequestRecord {
            seq,
            at: Instant::now(),
            time: core.clock.now(),
            took: None,
            method: method.clone(),
            path: uri.path().to_owned(),
            query: uri.query().unwrap_or_default().to_owned(),
            endpoint,
            headers: headers.map(|(name, value)| (name.to_string(), readable(value))).collect(),
            bearer: kind,
            bearer_valid: valid,
            bearer_hash: token.map(short_hash),
            body_bytes: 0,
            status: None,
            faults,
        };
        log.kept.push_back(Kept { record, body_bytes: body_bytes.clone() });
        if log.kept.len() > self.max {
            log.kept.pop_front();
        }
        (seq, body_bytes)
    }

    /// Notes how a request ended.
    pub(crate) fn end(&self, seq: u64, status: Option<u16>) {
        let mut log = self.log();
        let first = log.kept.front().map_or(0, |kept| kept.record.seq);
        let place = seq.checked_sub(first).and_then(|place| usize::try_from(place).ok());
        if let Some(kept) = place.and_then(|place| log.kept.get_mut(place)) {
            kept.record.took = Some(kept.record.at.elapsed());
            kept.record.status = status;
        }
    }

    pub(crate) fn all(&self) -> Vec<RequestRecord> {
        let seen = |kept: &Kept| {
            let body_bytes = kept.body_bytes.load(Ordering::Relaxed);
            RequestRecord { body_bytes, ..kept.record.clone() }
        };
        self.log().kept.iter().map(seen).collect()
    }
}

/// Enough of SHA-256 to tell tokens apart, and too little to be one.
fn short_hash(token: &str) -> String {
    hex::encode(Sha256::digest(token).get(..8).unwrap_or_default())
}
