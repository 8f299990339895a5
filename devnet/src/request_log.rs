//! The requests that the devnet received, without their secrets.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue, Method, header, request};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::endpoint::Endpoint;
use crate::faults::fault::FaultId;
use crate::request::bearer;
use crate::tokens::{TokenGrant, TokenTable};

/// How many requests are kept; the oldest are dropped. Enough for the longest test, and a bound on the
/// memory of a devnet that runs for days.
const MAX_RECORDS: usize = 100_000;

/// Kind and owner of the bearer token that a request carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BearerKind {
    /// No token.
    Missing,
    /// A token that the devnet never issued, or has forgotten.
    Unknown,
    /// The machine token of this node.
    Node(Uuid),
    /// The machine token of this robot.
    Robot(Uuid),
    /// A token of this task.
    Task(Uuid),
    /// The token of the application.
    App,
    /// The token of the application for this domain.
    Domain(Uuid),
}

/// A request that the devnet received.
#[derive(Debug, Clone)]
pub struct RequestRecord {
    /// Number in the order of arrival, from 0.
    pub seq: u64,
    /// When the head of the request had arrived.
    pub at: Instant,
    /// Time until the head of the answer was ready; none while the request is being processed.
    pub took: Option<Duration>,
    /// HTTP method.
    pub method: Method,
    /// Path as sent.
    pub path: String,
    /// Query as sent, without the question mark; empty if there was none.
    pub query: String,
    /// Endpoint that the request was for; none if there is no such endpoint.
    pub endpoint: Option<Endpoint>,
    /// Headers in the order in which they were sent, names in lower case, without `Authorization`.
    pub headers: Vec<(String, String)>,
    /// Kind and owner of the bearer token.
    pub bearer: BearerKind,
    /// Whether the bearer token was valid when the request arrived.
    pub bearer_valid: bool,
    /// Short hash of the bearer token, which tells tokens apart without revealing them.
    pub bearer_hash: Option<String>,
    /// Bytes of the body that were read so far.
    pub body_bytes: u64,
    /// Status of the answer; none while there is none, or if the connection was closed instead.
    pub status: Option<u16>,
    /// The faults that hit the request.
    pub faults: Vec<FaultId>,
}

impl RequestRecord {
    /// The first value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Debug)]
struct LogEntry {
    record: RequestRecord,
    /// Counts on while the body is read, which may be long after the record was made.
    body_bytes: Arc<AtomicU64>,
}

#[derive(Debug, Default)]
struct LogEntries {
    entries: VecDeque<LogEntry>,
    next_seq: u64,
}

#[derive(Debug, Default)]
pub(crate) struct RequestLog {
    entries: Mutex<LogEntries>,
}

impl RequestLog {
    fn entries(&self) -> MutexGuard<'_, LogEntries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a request that has just arrived. Returns its number, and the counter to be advanced as its
    /// body is read.
    pub(crate) fn begin(
        &self,
        tokens: &TokenTable,
        head: &request::Parts,
        endpoint: Option<Endpoint>,
        faults: Vec<FaultId>,
    ) -> (u64, Arc<AtomicU64>) {
        let (bearer_kind, bearer_valid) = bearer_of(tokens, &head.headers);
        let body_bytes = Arc::new(AtomicU64::new(0));
        // Under one lock, so that numbers and positions agree (`end` relies on it).
        let mut log = self.entries();
        let seq = log.next_seq;
        log.next_seq += 1;
        let record = RequestRecord {
            seq,
            at: Instant::now(),
            took: None,
            method: head.method.clone(),
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            endpoint,
            headers: readable(&head.headers),
            bearer: bearer_kind,
            bearer_valid,
            bearer_hash: bearer(&head.headers).map(short_hash),
            body_bytes: 0,
            status: None,
            faults,
        };
        log.entries.push_back(LogEntry { record, body_bytes: body_bytes.clone() });
        if log.entries.len() > MAX_RECORDS {
            log.entries.pop_front();
        }
        (seq, body_bytes)
    }

    /// Completes a record with the status that is about to be sent.
    pub(crate) fn end(&self, seq: u64, status: Option<u16>) {
        let mut log = self.entries();
        // Numbers are consecutive, so the position follows from the oldest number.
        let first = log.entries.front().map_or(0, |entry| entry.record.seq);
        let position = seq.checked_sub(first).and_then(|position| usize::try_from(position).ok());
        if let Some(entry) = position.and_then(|position| log.entries.get_mut(position)) {
            entry.record.took = Some(entry.record.at.elapsed());
            entry.record.status = status;
        }
    }

    /// All records in the order of arrival.
    pub(crate) fn all(&self) -> Vec<RequestRecord> {
        let current = |entry: &LogEntry| {
            let body_bytes = entry.body_bytes.load(Ordering::Relaxed);
            RequestRecord { body_bytes, ..entry.record.clone() }
        };
        self.entries().entries.iter().map(current).collect()
    }
}

/// The kind of the bearer token, and whether it is valid now.
fn bearer_of(tokens: &TokenTable, headers: &HeaderMap) -> (BearerKind, bool) {
    let Some(token) = bearer(headers) else { return (BearerKind::Missing, false) };
    let Some((grant, valid)) = tokens.recall(token) else { return (BearerKind::Unknown, false) };
    let kind = match grant {
        TokenGrant::Node(id) => BearerKind::Node(id),
        TokenGrant::Robot(id) => BearerKind::Robot(id),
        TokenGrant::Task { task, .. } => BearerKind::Task(task),
        TokenGrant::App => BearerKind::App,
        TokenGrant::Domain(id) => BearerKind::Domain(id),
    };
    (kind, valid)
}

/// Headers as text, without the secret one.
fn readable(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let public = headers.iter().filter(|(name, _)| *name != header::AUTHORIZATION);
    public.map(|(name, value)| (name.to_string(), text(value))).collect()
}

/// Enough of SHA-256 to tell tokens apart, and too little to be mistaken for one.
fn short_hash(token: &str) -> String {
    hex::encode(Sha256::digest(token).get(..8).unwrap_or_default())
}
