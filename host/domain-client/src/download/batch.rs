//! Several small inputs by one request, ahead of the runner. A batch that fails, or has something large in it, is given up:
//! what it has not brought is asked for one by one, as if there had been no batch.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use posemesh_domain_data::cid::DataQuery;
use posemesh_domain_data::multipart::MultipartEvent;
use posemesh_runner_api::ports::PartInfo;
use sha2::{Digest, Sha256};
use tokio::sync::Notify;
use tokio::time::timeout;
use uuid::Uuid;

use crate::api::error::DomainError;
use crate::api::task_client::TaskClient;
use crate::download::answer::{self, Answer, WHAT};
use crate::download::checks::check_part;
use crate::download::pass_error::PassError;
use crate::download::settings::DownloadSettings;

/// The largest input that a batch may have, in bytes. A larger one would hold up those after it, and take memory for as long
/// as the runner reads those before it.
pub(crate) const SMALL: u64 = 64 << 10;
/// Bytes of inputs that a batch may have. They are in memory until the runner asks for them: a batch never waits for it.
pub(crate) const BATCH_BYTES: u64 = 1 << 20;
/// Time for the head of the answer, and that may pass without any bytes. Short, since whoever waits for the batch can do
/// without.
const PATIENCE: Duration = Duration::from_secs(10);

/// An input that has come whole.
#[derive(Debug)]
pub(crate) struct SmallPart {
    pub(crate) info: PartInfo,
    pub(crate) bytes: Bytes,
}

impl SmallPart {
    /// SHA-256 of the bytes in lower-case hex.
    pub(crate) fn sha256(&self) -> String {
        hex::encode(Sha256::digest(&self.bytes))
    }
}

/// How a batch has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BatchEnd {
    /// The answer came to its end with so many inputs. What is missing in it is not there, or the server sends fewer than
    /// were asked for.
    Whole(usize),
    /// One of the inputs, or all together, are too large for a batch.
    TooLarge,
    /// The server refuses such requests, or the answer is broken.
    Failed,
}

/// What a batch has brought so far.
#[derive(Debug)]
pub(crate) struct BatchParts {
    /// The most bytes that it brings.
    most_bytes: u64,
    state: Mutex<BatchState>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct BatchState {
    came: HashMap<Uuid, SmallPart>,
    /// The largest input that came.
    largest: u64,
    /// Bytes of all inputs that came, and of those that were taken.
    came_bytes: u64,
    taken_bytes: u64,
    end: Option<BatchEnd>,
}

impl BatchParts {
    /// Takes an input when it has come; none if the batch has ended without it.
    pub(crate) async fn take(&self, id: Uuid) -> Option<SmallPart> {
        loop {
            let changed = self.changed.notified();
            {
                let mut state = self.state();
                let part = state.came.remove(&id);
                if part.is_some() || state.end.is_some() {
                    state.taken_bytes += part.as_ref().map_or(0, |part| part.info.size);
                    return part;
                }
            }
            changed.await;
        }
    }

    /// Whether an input has come and was not taken.
    pub(crate) fn has(&self, id: Uuid) -> bool {
        self.state().came.contains_key(&id)
    }

    /// Bytes that it holds, or may still bring.
    pub(crate) fn bytes(&self) -> u64 {
        let state = self.state();
        let all = if state.end.is_some() { state.came_bytes } else { self.most_bytes };
        all.saturating_sub(state.taken_bytes)
    }

    /// How it ended, and the size of the largest input that came; none while it goes on.
    pub(crate) fn end(&self) -> Option<(BatchEnd, u64)> {
        let state = self.state();
        Some((state.end?, state.largest))
    }

    fn came(&self, id: Uuid, part: SmallPart) {
        self.state().add(id, part);
        self.changed.notify_waiters();
    }

    /// No more comes but `last`: in one step, so that whoever has the last input also knows how the batch has ended.
    fn ended(&self, end: BatchEnd, last: Option<(Uuid, SmallPart)>) {
        let mut state = self.state();
        if let Some((id, part)) = last {
            state.add(id, part);
        }
        state.end.get_or_insert(end);
        drop(state);
        self.changed.notify_waiters();
    }

    fn state(&self) -> MutexGuard<'_, BatchState> {
        // Each change is one step, so what a panic left behind is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BatchState {
    fn add(&mut self, id: Uuid, part: SmallPart) {
        self.largest = self.largest.max(part.info.size);
        self.came_bytes += part.info.size;
        self.came.insert(id, part);
    }
}

/// The request for a batch. However it ends, and if it is dropped, nobody waits for it any longer.
pub(crate) struct BatchDownload {
    client: Arc<TaskClient>,
    settings: DownloadSettings,
    query: DataQuery,
    parts: Arc<BatchParts>,
    /// The input that comes.
    current: Option<(Uuid, PartInfo, Vec<u8>)>,
    /// One that has all its bytes: it counts when what follows it is in order.
    whole: Option<(Uuid, SmallPart)>,
    seen: Vec<Uuid>,
    bytes: u64,
}

impl BatchDownload {
    /// Prepares the request for these ids, each of which is there once, of which no more than `most_bytes` are to come.
    pub(crate) fn new(
        client: Arc<TaskClient>,
        settings: DownloadSettings,
        ids: Vec<Uuid>,
        most_bytes: u64,
    ) -> (Self, Arc<BatchParts>) {
        let parts = Arc::new(BatchParts { most_bytes, state: Mutex::default(), changed: Notify::default() });
        let query = DataQuery { ids, ..DataQuery::default() };
        let (current, whole, seen) = (None, None, Vec::new());
        let batch = Self { client, settings, query, parts: parts.clone(), current, whole, seen, bytes: 0 };
        (batch, parts)
    }

    /// Asks once, and reads the answer for as long as it is worth it.
    pub(crate) async fn run(mut self) {
        let idle_timeout = self.client.settings().idle_timeout.min(PATIENCE);
        let first_byte_timeout = self.client.settings().first_byte_timeout.min(PATIENCE);
        // An answer whose bytes come one by one is no use either.
        let after = first_byte_timeout + idle_timeout * 2;
        let passed = timeout(after, self.pass(first_byte_timeout, idle_timeout)).await.unwrap_or_else(|_| {
            let phase = "reading several inputs at once";
            Err(PassError::Broken(DomainError::Stalled { what: WHAT, phase, after }))
        });
        let end = passed.unwrap_or_else(|error| {
            let (task_id, inputs) = (self.client.task_id(), self.query.ids.len());
            tracing::debug!(%task_id, inputs, ?error, "asking for several inputs at once has failed");
            BatchEnd::Failed
        });
        self.parts.ended(end, None);
    }

    async fn pass(
        &mut self,
        first_byte_timeout: Duration,
        idle_timeout: Duration,
    ) -> Result<BatchEnd, PassError> {
        let call = answer::call(&self.client, &self.query).optional().max_attempts(1);
        let response = self.client.open(&call.first_byte_timeout(first_byte_timeout)).await?;
        let mut answer = Answer::new(Arc::clone(&self.client), &self.settings, idle_timeout, response)?;
        while let Some(event) = answer.next().await? {
            match event {
                MultipartEvent::Part(head) => {
                    if let Some((id, part)) = self.confirmed() {
                        self.parts.came(id, part);
                    }
                    let (id, info) = check_part(&self.query, self.client.server().domain_id(), head)?;
                    if self.seen.contains(&id) {
                        return Err(PassError::inconsistent(format!("the part {id} came twice")));
                    }
                    self.seen.push(id);
                    self.bytes = self.bytes.saturating_add(info.size);
                    if info.size > SMALL || self.bytes > self.parts.most_bytes {
                        return Ok(BatchEnd::TooLarge);
                    }
                    // Bounded by what is small.
                    let room = usize::try_from(info.size).unwrap_or_default();
                    self.current = Some((id, info, Vec::with_capacity(room)));
                }
                MultipartEvent::Data(bytes) => {
                    if let Some((.., so_far)) = &mut self.current {
                        so_far.extend_from_slice(&bytes);
                    }
                }
                MultipartEvent::PartEnd => {
                    let whole = self.current.take();
                    self.whole = whole.map(|(id, info, bytes)| (id, SmallPart { info, bytes: bytes.into() }));
                }
            }
        }
        if answer.is_closed() {
            // What follows changes nothing, and nobody waits for it.
            self.all_came();
            drop(answer.end(|_| Ok(())).await);
        } else {
            answer.end(|_| Ok(())).await?;
            self.all_came();
        }
        Ok(BatchEnd::Whole(self.seen.len()))
    }

    /// The answer has come to its end.
    fn all_came(&mut self) {
        let last = self.confirmed();
        self.parts.ended(BatchEnd::Whole(self.seen.len()), last);
    }

    /// The input before, if there is one: what follows it is in order, so it is as long as it says.
    fn confirmed(&mut self) -> Option<(Uuid, SmallPart)> {
        let whole = self.whole.take()?;
        if self.seen.len() == 1 {
            self.client.at_server().succeeded();
            self.client.at_server().worked(WHAT);
        }
        Some(whole)
    }
}

impl Drop for BatchDownload {
    fn drop(&mut self) {
        self.parts.ended(BatchEnd::Failed, None);
    }
}
