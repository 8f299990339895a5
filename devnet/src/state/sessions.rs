//! The state of upload sessions: which parts have arrived, and how each session ended (protocol 6.9).

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use uuid::Uuid;

use crate::state::blob::StagedBlob;

/// The status of an upload session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionStatus {
    /// Parts are accepted.
    Open,
    /// The parts became the domain data with this id.
    Completed(Uuid),
    /// The client aborted the session.
    Aborted,
    /// The session was not completed within [`crate::DevnetConfig::upload_session_ttl`].
    Expired,
}

/// A part that arrived completely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartRecord {
    /// `partNumber`, from 1.
    pub number: u32,
    /// Size in bytes.
    pub size: u64,
    /// When the last byte had arrived.
    pub at: Instant,
}

/// An upload session, as tests see it.
#[derive(Debug, Clone)]
pub struct SessionRecord {
    /// Id of the session.
    pub upload_id: Uuid,
    /// Id of the domain.
    pub domain_id: Uuid,
    /// `name` as sent.
    pub name: String,
    /// `data_type` as sent.
    pub data_type: String,
    /// `size` as sent, in bytes.
    pub size: Option<u64>,
    /// `existing_id` as sent.
    pub existing_id: Option<Uuid>,
    /// Parts in the order of their arrival; a part that was sent again occurs again.
    pub parts: Vec<PartRecord>,
    /// Current status.
    pub status: SessionStatus,
}

/// A part whose content is in the blob.
#[derive(Debug, Clone)]
pub(crate) struct UploadedPart {
    pub(crate) size: u64,
    pub(crate) etag: String,
}

/// What only a session that is open has.
#[derive(Debug)]
pub(crate) struct OpenSession {
    pub(crate) data_id: Uuid,
    /// All parts are written to one blob, each at its offset, so that completing copies nothing.
    pub(crate) blob: StagedBlob,
    pub(crate) parts: BTreeMap<u32, UploadedPart>,
    pub(crate) expires: Instant,
    /// Set when the session ends, to stop requests that are still writing parts.
    pub(crate) closed: Arc<AtomicBool>,
}

#[derive(Debug)]
struct SessionEntry {
    record: SessionRecord,
    /// None once the session has ended.
    open: Option<OpenSession>,
    /// Position in the order of beginning.
    seq: usize,
}

impl SessionEntry {
    fn end(&mut self, open: &OpenSession, status: SessionStatus) {
        open.closed.store(true, Ordering::Release);
        self.record.status = status;
    }
}

#[derive(Debug, Default)]
pub(crate) struct UploadSessions {
    entries: Mutex<HashMap<Uuid, SessionEntry>>,
}

impl UploadSessions {
    fn entries(&self) -> MutexGuard<'_, HashMap<Uuid, SessionEntry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn begin(&self, record: SessionRecord, open: OpenSession) {
        let mut entries = self.entries();
        // Sessions are never removed, so their number is the position of the next.
        let seq = entries.len();
        entries.insert(record.upload_id, SessionEntry { record, open: Some(open), seq });
    }

    /// Calls `act` with the session `id` of a domain; none if it is not open.
    pub(crate) fn with_open<T>(
        &self,
        domain: Uuid,
        id: Uuid,
        act: impl FnOnce(&mut SessionRecord, &mut OpenSession) -> T,
    ) -> Option<T> {
        let mut entries = self.entries();
        let entry = entries.get_mut(&id).filter(|entry| entry.record.domain_id == domain)?;
        let open = entry.open.as_mut().filter(|open| open.expires > Instant::now())?;
        Some(act(&mut entry.record, open))
    }

    /// Ends the session `id` of a domain; none if it is not open.
    pub(crate) fn end(&self, domain: Uuid, id: Uuid, status: SessionStatus) -> Option<OpenSession> {
        let mut entries = self.entries();
        let entry = entries.get_mut(&id).filter(|entry| entry.record.domain_id == domain)?;
        let open = entry.open.take_if(|open| open.expires > Instant::now())?;
        entry.end(&open, status);
        Some(open)
    }

    /// Ends the sessions that have expired; false if there were none.
    pub(crate) fn sweep(&self) -> bool {
        let now = Instant::now();
        let mut any = false;
        for entry in self.entries().values_mut() {
            if let Some(open) = entry.open.take_if(|open| open.expires <= now) {
                entry.end(&open, SessionStatus::Expired);
                any = true;
            }
        }
        any
    }

    /// All sessions, in the order in which they began.
    pub(crate) fn all(&self) -> Vec<SessionRecord> {
        let entries = self.entries();
        let mut sessions: Vec<&SessionEntry> = entries.values().collect();
        sessions.sort_by_key(|entry| entry.seq);
        sessions.into_iter().map(|entry| entry.record.clone()).collect()
    }
}
