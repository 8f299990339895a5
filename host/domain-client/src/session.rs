//! An upload session (protocol 6.9): parts go out while the runner still writes.
//!
//! At most `upload_parallelism` parts are in flight while one more is filled. They wait in memory when so
//! many fit there, and in files otherwise, so that memory depends neither on the artifact nor on the part
//! size that the server dictates. A session that is dropped before it is completed is given up at the
//! server, in the background.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use posemesh_domain_data::excerpt;
use reqwest::Method;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use url::form_urlencoded::byte_serialize;

use super::access::Access;
use super::buffer::Buffer;
use super::call::Call;
use super::error::StorageError;
use super::lookup::Existing;
use super::payload::Payload;
use super::single::{Stored, checked};
use super::wire::{self, Complete, CompletePart, Initiate, Initiated, Metadata, PartStored, sane_id};

const JSON: &str = "application/json";
const BYTES: &str = "application/octet-stream";
/// Parts that a session can have.
const MAX_PARTS: u32 = 10_000;

/// How long giving a session up may take; after it the server's own expiry has to do.
const GIVE_UP_TIMEOUT: Duration = Duration::from_secs(15);

/// How long to wait for room on the disk before looking whether any is still to come.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// How the wait for room on the disk went.
#[derive(Default)]
struct Waits {
    /// Nothing was in flight that could have given any.
    in_vain: bool,
}

/// A part that was stored: its number and its etag.
type Part = Result<(u32, String), StorageError>;

pub(super) struct Session {
    access: Arc<Access>,
    name: String,
    data_type: String,
    existing: Existing,
    upload_id: String,
    /// The id that the data has or will have, if initiate said it.
    data_id: Option<String>,
    part_size: u64,
    /// Whether parts are too large to wait in memory.
    on_disk: bool,
    filling: Buffer,
    in_flight: JoinSet<Part>,
    stored: BTreeMap<u32, String>,
    /// Parts that were begun, which is also the number of the last one.
    begun: u32,
    /// Whether there is nothing to give up (any more).
    settled: bool,
    runtime: Handle,
}

impl Session {
    /// Begins a session; none if the server knows no sessions. `sessions` is what it said of that before.
    ///
    /// The request goes on if this is dropped while it waits, so that the session that it may have
    /// begun can be given up.
    pub async fn begin(
        access: &Arc<Access>,
        name: &str,
        data_type: &str,
        existing: Existing,
        size: Option<u64>,
        sessions: Option<bool>,
    ) -> Result<Option<Self>, StorageError> {
        let (access, name, data_type) = (Arc::clone(access), name.to_owned(), data_type.to_owned());
        let (tracker, given_up) = (access.client.tracker.clone(), access.given_up.clone());
        let (mut answer, begun) = oneshot::channel();
        tracker.spawn(given_up.track_future(async move {
            let result = tokio::select! {
                result = Self::initiate(&access, &name, &data_type, existing, size) => result,
                () = async { answer.closed().await; sleep(GIVE_UP_TIMEOUT).await } => {
                    tracing::warn!(
                        task_id = %access.task_id(),
                        "an upload session may stay at the domain server until it expires: beginning it got no answer"
                    );
                    return;
                }
            };
            let result = match result {
                // A server that says that it has sessions means something else by 404: the domain, or the data.
                Err(error) if error.status() == Some(404) && sessions == Some(true) => Err(error),
                Err(error) if matches!(error.status(), Some(404 | 405 | 501)) => Ok(None),
                other => other.map(Some),
            };
            // If nobody waits any more, the session is dropped here, while the trackers still count
            // this task: whoever waits for them then waits for the giving up as well.
            drop(answer.send(result));
        }));
        begun.await.unwrap_or(Err(StorageError::Cancelled))
    }

    async fn initiate(
        access: &Arc<Access>,
        name: &str,
        data_type: &str,
        mut existing: Existing,
        size: Option<u64>,
    ) -> Result<Self, StorageError> {
        const WHAT: &str = "beginning an upload";
        let url = access.session_url("uploads");
        let request = |existing: &Existing| {
            let body = Initiate { name, data_type, size, content_type: BYTES, existing_id: existing.id() };
            let payload = Payload::Bytes(vec![wire::encode(WHAT, &body)?]);
            Ok::<_, StorageError>(Call::new(WHAT, Method::POST, url.clone()).body(JSON, payload))
        };
        let answer = match access.fetch(&request(&existing)?).await {
            Err(error) if error.status() == Some(409) && existing.id().is_none() => {
                existing = access.find_existing(name, data_type).await?;
                if existing.id().is_none() {
                    return Err(error);
                }
                access.fetch(&request(&existing)?).await?
            }
            other => other?,
        };
        let Initiated { upload_id, part_size, data_id } = wire::decode(WHAT, &answer)?;
        let upload_id = sane_id(Some(upload_id)).ok_or_else(|| StorageError::BadAnswer {
            what: WHAT,
            why: "its upload_id is no id".to_owned(),
        })?;
        // From here on, dropping it gives the session up.
        let mut session = Self {
            access: Arc::clone(access),
            name: name.to_owned(),
            data_type: data_type.to_owned(),
            existing,
            upload_id,
            data_id: sane_id(data_id),
            part_size: 0,
            on_disk: false,
            filling: Buffer::in_memory(access),
            in_flight: JoinSet::new(),
            stored: BTreeMap::new(),
            begun: 0,
            settled: false,
            runtime: Handle::current(),
        };
        session.accept_part_size(&part_size, size)?;
        tracing::debug!(
            task_id = %access.task_id(), name, data_type, has_existing_id = session.existing.id().is_some(),
            part_size = session.part_size, on_disk = session.on_disk, "began an upload"
        );
        Ok(session)
    }

    fn accept_part_size(&mut self, said: &serde_json::Value, whole: Option<u64>) -> Result<(), StorageError> {
        let settings = self.access.settings();
        let refused = |why: String| StorageError::PartSize {
            name: self.name.clone(),
            part_size: excerpt(&said.to_string(), 40),
            why,
        };
        let size = said.as_u64().filter(|size| *size > 0);
        let size = size.ok_or_else(|| refused("it is not a number of bytes above 0".to_owned()))?;
        if size > settings.max_part_size {
            return Err(refused(format!(
                "{} bytes are the most that this node takes",
                settings.max_part_size
            )));
        }
        if whole.is_some_and(|whole| whole.div_ceil(size) > u64::from(MAX_PARTS)) {
            return Err(refused(format!(
                "a session can have {MAX_PARTS} parts, and the artifact needs more"
            )));
        }
        self.part_size = size;
        // One part is being filled while the others are in flight.
        let held = size.saturating_mul(settings.upload_parallelism as u64 + 1);
        self.on_disk = held > settings.upload_memory as u64;
        self.filling = self.empty();
        Ok(())
    }

    fn empty(&self) -> Buffer {
        if self.on_disk { Buffer::on_disk(&self.access) } else { Buffer::in_memory(&self.access) }
    }

    /// Appends all that a buffer holds.
    pub async fn write_all(&mut self, mut buffer: Buffer) -> Result<(), StorageError> {
        let source = buffer.source().await?;
        let mut pieces = Payload::of(Bytes::new(), &source, Bytes::new()).pieces();
        while let Some(piece) = pieces.next().await {
            self.write(piece.map_err(|error| StorageError::Spool(error.to_string()))?).await?;
        }
        Ok(())
    }

    /// Appends bytes; waits when as many parts are in flight as may be.
    pub async fn write(&mut self, mut bytes: Bytes) -> Result<(), StorageError> {
        while !bytes.is_empty() {
            let room = usize::try_from(self.part_size - self.filling.size()).unwrap_or(usize::MAX);
            let mut piece = bytes.split_to(bytes.len().min(room));
            let mut waits = Waits::default();
            while let Err(error) = self.push(&mut piece).await {
                self.wait_for_disk(error, &mut waits).await?;
            }
            if self.filling.size() == self.part_size {
                self.send_part().await?;
            }
        }
        // A part that failed is told now, not when the artifact is finished.
        while let Some(done) = self.in_flight.try_join_next() {
            self.note(done)?;
        }
        Ok(())
    }

    async fn push(&mut self, piece: &mut Bytes) -> Result<(), StorageError> {
        // What is in flight already may not take the runner's own room; a first part may, or it never goes.
        let first = self.in_flight.is_empty();
        self.filling.leave(if first { 0 } else { self.access.lease.disk.limit() / 2 });
        self.filling.push(piece).await
    }

    /// After an error that says so, waits for a part in flight, of this artifact or another of the task, to
    /// give its room on the disk back. If there is none, no room will come.
    async fn wait_for_disk(&mut self, error: StorageError, waits: &mut Waits) -> Result<(), StorageError> {
        if !matches!(error, StorageError::Disk(_)) {
            return Err(error);
        }
        if self.join_one().await? {
            return Ok(());
        }
        let access = Arc::clone(&self.access);
        let mut freed = pin!(access.lease.disk.freed());
        // Before the look, so that nothing that is given back after it is missed.
        freed.as_mut().enable();
        if access.upload_slots.available_permits() < access.settings().upload_parallelism {
            // Parts that wait in memory give no room back when they are through.
            let _ = timeout(LOOK_AGAIN, freed).await;
            return Ok(());
        }
        // The last one may have given its room back since this was tried.
        if std::mem::replace(&mut waits.in_vain, true) { Err(error) } else { Ok(()) }
    }

    async fn send_part(&mut self) -> Result<(), StorageError> {
        while self.in_flight.len() >= self.access.settings().upload_parallelism {
            self.join_one().await?;
        }
        if self.begun >= MAX_PARTS {
            return Err(StorageError::PartSize {
                name: self.name.clone(),
                part_size: self.part_size.to_string(),
                why: format!("a session can have {MAX_PARTS} parts, and the artifact is larger than that"),
            });
        }
        let mut waits = Waits::default();
        let source = loop {
            match self.filling.source().await {
                Ok(source) => break source,
                Err(error) => self.wait_for_disk(error, &mut waits).await?,
            }
        };
        let empty = self.empty();
        let part = std::mem::replace(&mut self.filling, empty);
        self.begun += 1;
        let number = self.begun;
        let upload_id: String = byte_serialize(self.upload_id.as_bytes()).collect();
        let url = self.access.session_url(&format!("uploadId={upload_id}&partNumber={number}"));
        let access = Arc::clone(&self.access);
        // Other artifacts of the task may be using the slots; their parts end by themselves.
        let slot =
            Arc::clone(&access.upload_slots).acquire_owned().await.map_err(|_| StorageError::Cancelled)?;
        self.in_flight.spawn(async move {
            const WHAT: &str = "storing a part of an artifact";
            let _slot = slot;
            let part_bytes = part.size();
            let payload = Payload::of(Bytes::new(), &source, Bytes::new());
            let answer = access.fetch(&Call::new(WHAT, Method::PUT, url).body(BYTES, payload)).await?;
            // Only now: it is what pays for the bytes.
            drop(part);
            let PartStored { etag } = wire::decode(WHAT, &answer)?;
            let etag = etag.filter(|etag| !etag.is_empty());
            let etag = etag.ok_or_else(|| StorageError::BadAnswer {
                what: WHAT,
                why: format!("part {number} has no etag, or one of more than a kilobyte"),
            })?;
            tracing::debug!(task_id = %access.task_id(), part_number = number, part_bytes, "stored a part");
            Ok((number, etag))
        });
        Ok(())
    }

    async fn join_one(&mut self) -> Result<bool, StorageError> {
        match self.in_flight.join_next().await {
            Some(done) => self.note(done).map(|()| true),
            None => Ok(false),
        }
    }

    fn note(&mut self, done: Result<Part, tokio::task::JoinError>) -> Result<(), StorageError> {
        let (number, etag) = done.map_err(|_| StorageError::Cancelled)??;
        self.stored.insert(number, etag);
        Ok(())
    }

    /// Sends what is left and completes the session; `size` is the artifact's, for comparison.
    pub async fn finish(mut self, size: u64) -> Result<Stored, StorageError> {
        const WHAT: &str = "completing an upload";
        if self.filling.size() > 0 {
            self.send_part().await?;
        }
        while self.join_one().await? {}
        let parts = std::mem::take(&mut self.stored);
        let parts = parts.into_iter().map(|(part_number, etag)| CompletePart { part_number, etag }).collect();
        let body = wire::encode(WHAT, &Complete { parts })?;
        let call = Call::new(WHAT, Method::POST, self.url()).body(JSON, Payload::Bytes(vec![body]));
        // The server may have to put many GiB together. Asking again meanwhile would not help it.
        let call = call.at_most(3).patience(self.access.settings().first_byte_timeout * 4);
        let answer: Metadata = match self.access.fetch(&call).await {
            Ok(answer) => wire::decode(WHAT, &answer)?,
            Err(error) => self.completed_before(size, error).await?,
        };
        self.settled = true;
        let stored = checked(&self.name, &self.existing, Some(answer), size)?;
        Ok(Stored { id: stored.id.or_else(|| self.data_id.take()), ..stored })
    }

    /// A session that is gone when completing is tried again may have been completed by the first try,
    /// whose answer was lost. That counts only if the data is there, as large as it should be, and not
    /// what was there before.
    async fn completed_before(&self, size: u64, error: StorageError) -> Result<Metadata, StorageError> {
        let again = matches!(&error, StorageError::Status { status, tried, .. }
            if *tried > 1 && [404, 409, 410].contains(&status.as_u16()));
        if !again {
            return Err(error);
        }
        let Ok(Some(found)) = self.access.find(&self.name, &self.data_type).await else { return Err(error) };
        let is_new = match &self.existing {
            Existing::None => true,
            Existing::Found { id, updated_at: Some(before) } => {
                found.id.as_ref() == Some(id) && found.updated_at.as_ref().is_some_and(|now| now != before)
            }
            Existing::Found { .. } | Existing::Given(_) | Existing::Unknown => false,
        };
        if is_new && found.size == Some(size) { Ok(found) } else { Err(error) }
    }

    fn url(&self) -> url::Url {
        let upload_id: String = byte_serialize(self.upload_id.as_bytes()).collect();
        self.access.session_url(&format!("uploadId={upload_id}"))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.settled {
            return;
        }
        let (access, url) = (Arc::clone(&self.access), self.url());
        let mut in_flight = std::mem::take(&mut self.in_flight);
        let abort = async move {
            // A part that arrives after the abort would be for nobody.
            in_flight.shutdown().await;
            let call = Call::new("giving an upload up", Method::DELETE, url).at_most(2);
            let stays = match timeout(GIVE_UP_TIMEOUT, access.fetch(&call)).await {
                Ok(Ok(_)) => return,
                // It is not there any more: completed after all, or expired.
                Ok(Err(error)) if matches!(error.status(), Some(404 | 410)) => return,
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {GIVE_UP_TIMEOUT:?}"),
            };
            tracing::warn!(task_id = %access.task_id(), "an upload session stays at the domain server until it expires: {stays}");
        };
        let abort = self.access.given_up.track_future(abort);
        self.access.client.tracker.spawn_on(abort, &self.runtime);
    }
}
