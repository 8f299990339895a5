//! Reads a download in the background, a few chunks ahead of the runner, and takes it up again when it
//! is cut.
//!
//! After a cut the same data is asked for once more. What was handed on already is not handed on
//! again, but read and hashed: only if it is the same bytes does the rest follow.

mod checks;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use posemesh_domain_data::cid::Query;
use posemesh_domain_data::disposition::Disposition;
use posemesh_domain_data::excerpt;
use posemesh_domain_data::multipart::{Event, Limits, MultipartError, Reader};
use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::timeout;
use uuid::Uuid;

use self::checks::inconsistent;
use super::access::Access;
use super::error::StorageError;
use posemesh_net::http::cause;
use posemesh_runner_api::ports::PartInfo;

const WHAT: &str = "downloading an input";
/// Messages that wait for the runner.
pub(super) const AHEAD: usize = 4;
/// How long to wait for the end of the answer when its closing boundary has come.
const AFTER_CLOSED: Duration = Duration::from_secs(1);
/// The largest piece of a body in one message.
const PIECE: usize = 256 << 10;

/// What the runner's side is told.
#[derive(Debug)]
pub(super) enum Message {
    Part(PartInfo),
    Data(Ahead),
    PartEnd,
    /// All parts were handed on.
    End,
}

/// A piece of a body that waits for the runner, with its share of what may wait over all inputs of the task.
#[derive(Debug)]
pub(super) struct Ahead {
    pub bytes: Bytes,
    _share: Option<OwnedSemaphorePermit>,
}

pub(super) type Sender = mpsc::Sender<Result<Message, StorageError>>;

/// How a pass through an answer ended short of its end.
enum Stop {
    /// The answer was cut; another pass may go on.
    Cut(StorageError),
    /// It is broken, or the server refuses.
    Failed(StorageError),
    /// The runner's side is gone.
    Unheard,
}

impl From<StorageError> for Stop {
    fn from(error: StorageError) -> Self {
        Self::Failed(error)
    }
}

impl From<MultipartError> for Stop {
    fn from(error: MultipartError) -> Self {
        match error {
            MultipartError::Truncated(_) => Self::Cut(error.into()),
            _ => Self::Failed(error.into()),
        }
    }
}

/// The part that is being handed on.
struct Current {
    info: PartInfo,
    id: Uuid,
    delivered: u64,
    hash: Sha256,
}

/// What to do with the bytes that come.
enum Mode {
    /// Nothing: the part was handed on whole before a cut, or is not what the query names.
    Skip,
    /// Compare: the first `left` bytes were handed on before a cut.
    Verify { left: u64, hash: Sha256 },
    /// Hand them on.
    Deliver,
}

pub(super) struct Download {
    access: Arc<Access>,
    query: Query,
    out: Sender,
    current: Option<Current>,
    /// Ids of the parts that were handed on whole.
    done: Vec<Uuid>,
    /// Parts that came in the pass that is under way.
    seen: Vec<Uuid>,
    mode: Mode,
    /// Bytes that went to the runner so far.
    handed_on: u64,
}

impl Download {
    pub fn new(access: Arc<Access>, query: Query, out: Sender) -> Self {
        Self {
            access,
            query,
            out,
            current: None,
            done: Vec::new(),
            seen: Vec::new(),
            mode: Mode::Skip,
            handed_on: 0,
        }
    }

    /// Runs until everything was handed on, nobody listens any more, or an error was told.
    pub async fn run(mut self) {
        let mut cuts = 0;
        let result = loop {
            let before = self.handed_on;
            let error = match self.pass().await {
                Ok(()) => break Ok(Message::End),
                Err(Stop::Unheard) => return,
                Err(Stop::Failed(error)) => break Err(error),
                Err(Stop::Cut(error)) => error,
            };
            // A pass that got further is worth as many more.
            cuts = if self.handed_on > before { 1 } else { cuts + 1 };
            if self.everything_came() {
                break Ok(Message::End);
            }
            if cuts > self.access.settings().max_resumes {
                break Err(error);
            }
            let wait = self.access.settings().retry.backoff(cuts);
            tracing::debug!(task_id = %self.access.task_id(), %error, cuts, "taking a download up again");
            tokio::time::sleep(wait).await;
        };
        // Nobody listening is fine.
        let _ = self.out.send(result).await;
    }

    /// Asks once and reads the answer to its end.
    async fn pass(&mut self) -> Result<(), Stop> {
        self.seen.clear();
        let call = self.access.download(&self.left_to_ask());
        let mut response = self.access.open(&call).await?;
        let settings = self.access.settings();
        let idle_timeout = settings.idle_timeout;
        let limits = Limits {
            header_bytes: settings.max_part_header_bytes,
            part_bytes: settings.max_input_part_bytes,
            parts: settings.max_input_parts,
        };
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let mut reader = Reader::from_content_type(content_type, limits)?;
        loop {
            let after = if reader.is_closed() { AFTER_CLOSED } else { idle_timeout };
            let chunk = match next_chunk(&mut response, after).await {
                // All has come; how the connection ends does not matter.
                Err(_) if reader.is_closed() => break,
                other => other?,
            };
            let Some(chunk) = chunk else { break };
            self.access.traffic().received(chunk.len());
            reader.feed(chunk);
            while let Some(event) = reader.next_event()? {
                match event {
                    Event::Part(head) => self.begin(head).await?,
                    Event::Data(bytes) => self.data(bytes).await?,
                    Event::PartEnd => self.end_part().await?,
                }
            }
        }
        let ending = reader.finish()?;
        self.check_end(ending)
    }

    /// The query, without the ids of parts that are through.
    fn left_to_ask(&self) -> Query {
        let ids = self.query.ids.iter().filter(|id| !self.done.contains(id)).copied().collect();
        Query { ids, ..self.query.clone() }
    }

    async fn begin(&mut self, head: Disposition) -> Result<(), Stop> {
        let (id, info) = self.check_part(head)?;
        if self.seen.contains(&id) {
            return Err(inconsistent(format!("the part {id} came twice")));
        }
        self.seen.push(id);
        self.mode = match &self.current {
            _ if self.done.contains(&id) => Mode::Skip,
            _ if !self.is_wanted(&info) => {
                tracing::debug!(task_id = %self.access.task_id(), %id, "skipping data whose name or type only resembles the query's");
                Mode::Skip
            }
            Some(current) if current.id != id => {
                return Err(inconsistent(
                    "other data came when it was taken up again after a cut".to_owned(),
                ));
            }
            Some(current) => {
                if current.info.size != info.size || current.info.updated_at != info.updated_at {
                    return Err(inconsistent(format!(
                        "the part {id} changed between a cut and the next try"
                    )));
                }
                Mode::Verify { left: current.delivered, hash: Sha256::new() }
            }
            None => {
                tracing::debug!(
                    task_id = %self.access.task_id(), %id, size = info.size,
                    name = %excerpt(&info.name, 80), data_type = %excerpt(&info.data_type, 80), "downloading a part"
                );
                self.hear(Message::Part(info.clone())).await?;
                self.current = Some(Current { info, id, delivered: 0, hash: Sha256::new() });
                Mode::Deliver
            }
        };
        Ok(())
    }

    async fn data(&mut self, mut bytes: Bytes) -> Result<(), Stop> {
        if let (Mode::Verify { left, hash }, Some(current)) = (&mut self.mode, &self.current) {
            let known = bytes.split_to(usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len()));
            hash.update(&known);
            *left -= known.len() as u64;
            if *left == 0 {
                if hash.finalize_reset() != current.hash.clone().finalize() {
                    return Err(inconsistent(format!("the bytes of {} changed after a cut", current.id)));
                }
                self.mode = Mode::Deliver;
            }
        }
        if !matches!(self.mode, Mode::Deliver) {
            return Ok(());
        }
        while !bytes.is_empty() {
            let piece = bytes.split_to(bytes.len().min(PIECE));
            if let Some(current) = &mut self.current {
                current.hash.update(&piece);
                current.delivered += piece.len() as u64;
            }
            self.handed_on += piece.len() as u64;
            self.hand_on(piece).await?;
        }
        Ok(())
    }

    async fn end_part(&mut self) -> Result<(), Stop> {
        if matches!(self.mode, Mode::Skip) {
            return Ok(());
        }
        if let Some(current) = self.current.take() {
            let sha256 = hex::encode(current.hash.finalize());
            tracing::info!(
                task_id = %self.access.task_id(), id = %current.id, size = current.delivered, sha256, "downloaded a part"
            );
            self.access.traffic().read(&current.info, sha256);
            self.done.push(current.id);
        }
        self.hear(Message::PartEnd).await
    }

    /// Hands a piece on, ahead of the runner if there is a share for it. Else one at a time: a runner that has
    /// many inputs open can read each of them, and those that it does not read hold next to nothing.
    async fn hand_on(&self, bytes: Bytes) -> Result<(), Stop> {
        let share = Arc::clone(&self.access.read_ahead).try_acquire_owned().ok();
        if share.is_none() {
            let all_taken = self.out.reserve_many(AHEAD).await.map_err(|_| Stop::Unheard)?;
            drop(all_taken);
        }
        self.hear(Message::Data(Ahead { bytes, _share: share })).await
    }

    async fn hear(&self, message: Message) -> Result<(), Stop> {
        self.out.send(Ok(message)).map(|sent| sent.map_err(|_| Stop::Unheard)).await
    }
}

async fn next_chunk(response: &mut Response, after: Duration) -> Result<Option<Bytes>, Stop> {
    let error = match timeout(after, response.chunk()).await {
        Ok(Ok(chunk)) => return Ok(chunk),
        Ok(Err(error)) => StorageError::Cut(cause(&error)),
        Err(_) => StorageError::Stalled { what: WHAT, phase: "reading the answer", after },
    };
    Err(Stop::Cut(error))
}
