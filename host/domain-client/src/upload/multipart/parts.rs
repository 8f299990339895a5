//! Cuts an artifact into parts and sends them.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;

use crate::api::call::ApiCall;
use crate::api::error::DomainError;
use crate::api::payload::Content;
use crate::api::task_client::TaskClient;
use crate::api::wire::{self, CompletePart, PartStored};
use crate::upload::budget::UploadBudget;
use crate::upload::buffer::UploadBuffer;
use crate::upload::multipart::session::{MAX_PARTS, OpenSession, UploadedPart};

/// Time to wait for room on the disk before checking whether any can still be released.
const DISK_POLL: Duration = Duration::from_millis(200);

/// The parts of one artifact: one that is being filled, those in flight, and those that the server has stored.
pub(super) struct PartUploads {
    session: OpenSession,
    budget: Arc<UploadBudget>,
    /// The artifact's name, for errors.
    name: String,
    part_size: u64,
    /// Whether parts are too large to wait in memory.
    on_disk: bool,
    filling: UploadBuffer,
    /// Parts that were sent, which is also the number of the last one.
    sent: u32,
    etags: BTreeMap<u32, String>,
}

impl PartUploads {
    pub(super) fn new(session: OpenSession, budget: Arc<UploadBudget>, name: String, part_size: u64) -> Self {
        let on_disk = !budget.fits_memory(part_size);
        let filling = empty_buffer(&budget, on_disk);
        Self { session, budget, name, part_size, on_disk, filling, sent: 0, etags: BTreeMap::new() }
    }

    /// Appends bytes; waits when as many parts are in flight as may be.
    pub(super) async fn write(&mut self, mut bytes: Bytes) -> Result<(), DomainError> {
        while !bytes.is_empty() {
            let room = usize::try_from(self.part_size - self.filling.size()).unwrap_or(usize::MAX);
            // Never past the end of the part: its size is the server's to choose, not the writer's.
            let mut piece = bytes.split_to(bytes.len().min(room));
            let mut wait = DiskWait::default();
            while let Err(error) = self.push(&mut piece).await {
                self.wait_for_disk(error, &mut wait).await?;
            }
            if self.filling.size() == self.part_size {
                self.send_part().await?;
            }
        }
        // A part that failed is reported now, not only when the artifact is finished.
        while let Some(part) = self.session.try_join_part()? {
            self.note(part);
        }
        Ok(())
    }

    /// Sends what is left, and waits until all parts are stored. Returns them in ascending order.
    pub(super) async fn finish(mut self) -> Result<(OpenSession, Vec<CompletePart>), DomainError> {
        if self.filling.size() > 0 {
            self.send_part().await?;
        }
        while self.join_part().await? {}
        let parts = self.etags.into_iter().map(|(part_number, etag)| CompletePart { part_number, etag });
        Ok((self.session, parts.collect()))
    }

    async fn push(&mut self, piece: &mut Bytes) -> Result<(), DomainError> {
        // Parts that wait behind others may not take the runner's own room; a first part may, or it never goes.
        let is_first = self.session.parts_in_flight() == 0;
        self.filling.leave_disk_to_others(if is_first { 0 } else { self.budget.disk().limit() / 2 });
        self.filling.push(piece).await
    }

    /// After a failure for lack of room on the disk, waits for a part in flight, of this artifact or another of the
    /// task, to release its room.
    ///
    /// # Errors
    /// The failure itself when nothing is in flight, so that no room will be released, and every other error.
    async fn wait_for_disk(&mut self, error: DomainError, wait: &mut DiskWait) -> Result<(), DomainError> {
        if !matches!(error, DomainError::Disk(_)) {
            return Err(error);
        }
        // The artifact's own parts first: waiting for them also shows if one has failed.
        if self.join_part().await? {
            return Ok(());
        }
        let budget = Arc::clone(&self.budget);
        let mut released = pin!(budget.disk().released());
        // Before the check, so that no release after it is missed.
        released.as_mut().enable();
        if budget.has_parts_in_flight() {
            // Not for ever: parts that wait in memory release no room on the disk when they are sent.
            let _ = timeout(DISK_POLL, released).await;
            return Ok(());
        }
        // The last part may have released its room since the failure: one more attempt.
        if std::mem::replace(&mut wait.retried, true) { Err(error) } else { Ok(()) }
    }

    async fn send_part(&mut self) -> Result<(), DomainError> {
        while self.session.parts_in_flight() >= self.budget.parallelism() {
            self.join_part().await?;
        }
        if self.sent >= MAX_PARTS {
            return Err(DomainError::PartSize {
                name: self.name.clone(),
                part_size: self.part_size.to_string(),
                why: format!("a session can have {MAX_PARTS} parts, and the artifact is larger than that"),
            });
        }
        let mut wait = DiskWait::default();
        let content = loop {
            match self.filling.content().await {
                Ok(content) => break content,
                Err(error) => self.wait_for_disk(error, &mut wait).await?,
            }
        };
        let empty = empty_buffer(&self.budget, self.on_disk);
        let buffer = std::mem::replace(&mut self.filling, empty);
        self.sent += 1;
        // Only now: a slot that was taken earlier would stand idle while the content is written to disk.
        let slot = self.budget.part_slot().await?;
        let call = ApiCall::new(WHAT, Method::PUT, self.session.part_url(self.sent));
        let part =
            PartInFlight { client: Arc::clone(self.session.client()), number: self.sent, buffer, slot };
        self.session.spawn_part(part.send(call, content));
        Ok(())
    }

    /// Waits for a part in flight; false if there is none.
    async fn join_part(&mut self) -> Result<bool, DomainError> {
        let part = self.session.join_part().await?;
        Ok(part.map(|part| self.note(part)).is_some())
    }

    fn note(&mut self, part: UploadedPart) {
        self.etags.insert(part.number, part.etag);
    }
}

fn empty_buffer(budget: &Arc<UploadBudget>, on_disk: bool) -> UploadBuffer {
    if on_disk { UploadBuffer::on_disk(budget) } else { UploadBuffer::in_memory(budget) }
}

/// How the wait for room on the disk goes.
#[derive(Default)]
struct DiskWait {
    /// Whether it was tried once more though nothing was in flight.
    retried: bool,
}

const WHAT: &str = "storing a part of an artifact";

/// A full part on its way.
struct PartInFlight {
    client: Arc<TaskClient>,
    number: u32,
    /// Pays for the bytes.
    buffer: UploadBuffer,
    slot: OwnedSemaphorePermit,
}

impl PartInFlight {
    async fn send(self, call: ApiCall, content: Content) -> Result<UploadedPart, DomainError> {
        let Self { client, number, buffer, slot: _slot } = self;
        let part_bytes = buffer.size();
        let answer = client.fetch(&call.body("application/octet-stream", content.into())).await?;
        // Only now: the content is in it.
        drop(buffer);
        let PartStored { etag } = wire::decode(WHAT, &answer)?;
        let etag = etag.filter(|etag| !etag.is_empty());
        let etag = etag.ok_or_else(|| DomainError::BadAnswer {
            what: WHAT,
            why: format!("part {number} has no etag, or one of more than a kilobyte"),
        })?;
        tracing::debug!(task_id = %client.task_id(), part_number = number, part_bytes, "stored a part");
        Ok(UploadedPart { number, etag })
    }
}
