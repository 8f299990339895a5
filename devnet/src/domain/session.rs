//! Upload sessions: which parts have arrived, and how each session ended (protocol 6.9).

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use uuid::Uuid;

use super::store::Staged;

/// How an upload session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionStatus {
    /// Parts may come.
    Open,
    /// It became this domain data.
    Completed(Uuid),
    /// It was given up by the client.
    Aborted,
    /// It was given up by the server.
    Expired,
}

/// A part that arrived whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartRecord {
    /// `partNumber`, from 1.
    pub number: u32,
    /// Its bytes.
    pub size: u64,
    /// When its last byte had arrived.
    pub at: Instant,
}

/// An upload session as it stands.
#[derive(Debug, Clone)]
pub struct SessionRecord {
    /// Its id.
    pub upload_id: Uuid,
    /// The domain.
    pub domain_id: Uuid,
    /// `name`.
    pub name: String,
    /// `data_type`.
    pub data_type: String,
    /// `size`, if the client said one.
    pub size: Option<u64>,
    /// `existing_id`, if the client named one.
    pub existing_id: Option<Uuid>,
    /// The parts in the order of their arrival; one sent twice is there twice.
    pub parts: Vec<PartRecord>,
    /// How it stands.
    pub status: SessionStatus,
}

/// A part whose bytes lie in the session's file.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(crate) size: u64,
    pub(crate) etag: String,
}

/// A session whose parts may come.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) data_id: Uuid,
    /// All parts go into one file, each at its place.
    pub(crate) staged: Staged,
    pub(crate) parts: BTreeMap<u32, Part>,
    pub(crate) expires: Instant,
    /// Set when the session ends, so that parts still on their way are not written any more.
    pub(crate) closed: Arc<AtomicBool>,
}

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) record: SessionRecord,
    /// None once it has ended.
    pub(crate) open: Option<Open>,
    seq: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Sessions {
    map: Mutex<HashMap<Uuid, Session>>,
}

impl Sessions {
    pub(crate) fn map(&self) -> MutexGuard<'_, HashMap<Uuid, Session>> {
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn begin(&self, record: SessionRecord, open: Open) {
        let mut map = self.map();
        let seq = map.len();
        map.insert(record.upload_id, Session { record, open: Some(open), seq });
    }

    /// Looks into the open session `id` of a domain.
    pub(crate) fn with<T>(
        &self,
        domain: Uuid,
        id: Uuid,
        look: impl FnOnce(&mut SessionRecord, &mut Open) -> T,
    ) -> Option<T> {
        let mut map = self.map();
        let session = map.get_mut(&id).filter(|session| session.record.domain_id == domain)?;
        let open = session.open.as_mut().filter(|open| open.expires > Instant::now())?;
        Some(look(&mut session.record, open))
    }

    /// Ends the session `id` of a domain, if it is open.
    pub(crate) fn end(&self, domain: Uuid, id: Uuid, status: SessionStatus) -> Option<Open> {
        let mut map = self.map();
        let session = map.get_mut(&id).filter(|session| session.record.domain_id == domain)?;
        let open = session.open.take_if(|open| open.expires > Instant::now())?;
        open.closed.store(true, std::sync::atomic::Ordering::Release);
        session.record.status = status;
        Some(open)
    }

    /// Ends sessions whose time is over; true if there were any.
    pub(crate) fn sweep(&self) -> bool {
        let now = Instant::now();
        let mut any = false;
        for session in self.map().values_mut() {
            if let Some(open) = session.open.take_if(|open| open.expires <= now) {
                open.closed.store(true, std::sync::atomic::Ordering::Release);
                session.record.status = SessionStatus::Expired;
                any = true;
            }
        }
        any
    }

    /// All sessions in the order in which they began.
    pub(crate) fn all(&self) -> Vec<SessionRecord> {
        let map = self.map();
        let mut sessions: Vec<&Session> = map.values().collect();
        sessions.sort_by_key(|session| session.seq);
        sessions.into_iter().map(|session| session.record.clone()).collect()
    }
}
