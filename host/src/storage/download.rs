//! Reads a download in the background, a few chunks ahead of the runner, and takes it up again when it
//! is cut.
//!
//! After a cut the same data is asked for once more. What was handed on already is not handed on
//! again, but read and hashed: only if it is the same bytes does the rest follow.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use reqwest::Response;
use reqwest::header::CONTENT_TYPE;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::time::timeout;
use uuid::Uuid;

use super::access::Access;
use super::cid::{self, Query};
use super::disposition::Disposition;
use super::error::{StorageError, excerpt};
use super::multipart::{Ending, Event, Limits, MultipartError, Reader};
use crate::http::cause;
use crate::ports::PartInfo;

const WHAT: &str = "downloading an input";
/// Messages that wait for the runner.
pub(super) const AHEAD: usize = 4;
/// The largest piece of a body in one message.
const PIECE: usize = 256 << 10;

/// What the runner's side is told.
#[derive(Debug)]
pub(super) enum Message {
    Part(PartInfo),
    Data(Bytes),
    PartEnd,
    /// All parts were handed on.
    End,
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
}

impl Download {
    pub fn new(access: Arc<Access>, query: Query, out: Sender) -> Self {
        Self { access, query, out, current: None, done: Vec::new(), seen: Vec::new(), mode: Mode::Skip }
    }

    /// Runs until everything was handed on, nobody listens any more, or an error was told.
    pub async fn run(mut self) {
        let mut cuts = 0;
        let result = loop {
            let error = match self.pass().await {
                Ok(()) => break Ok(Message::End),
                Err(Stop::Unheard) => return,
                Err(Stop::Failed(error)) => break Err(error),
                Err(Stop::Cut(error)) => error,
            };
            cuts += 1;
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
        let limits = Limits {
            header_bytes: settings.max_part_header_bytes,
            part_bytes: settings.max_input_part_bytes,
            parts: settings.max_input_parts,
        };
        let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let mut reader = Reader::from_content_type(content_type, limits)?;
        while let Some(chunk) = self.next_chunk(&mut response).await? {
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

    async fn next_chunk(&self, response: &mut Response) -> Result<Option<Bytes>, Stop> {
        let after = self.access.settings().idle_timeout;
        let error = match timeout(after, response.chunk()).await {
            Ok(Ok(chunk)) => return Ok(chunk),
            Ok(Err(error)) => StorageError::Cut(cause(&error)),
            Err(_) => StorageError::Stalled { what: WHAT, phase: "reading the answer", after },
        };
        Err(Stop::Cut(error))
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

    /// Checks that a part is one that was asked for.
    fn check_part(&self, head: Disposition) -> Result<(Uuid, PartInfo), Stop> {
        let id = cid::uuid(&head.id)
            .ok_or_else(|| inconsistent(format!("a part has the id `{}`, no UUID", excerpt(&head.id, 80))))?;
        if !self.query.ids.is_empty() && !self.query.ids.contains(&id) {
            return Err(inconsistent(format!("the server sent {id}, which was not asked for")));
        }
        let domain = self.access.lease.domain_id;
        if !head.domain_id.is_empty() && cid::uuid(&head.domain_id) != Some(domain) {
            let other = excerpt(&head.domain_id, 80);
            return Err(inconsistent(format!(
                "the server sent {id} of the domain `{other}`, not of {domain}"
            )));
        }
        let info = PartInfo {
            data_id: head.id,
            name: head.name,
            data_type: head.data_type,
            size: head.size,
            domain_id: domain.to_string(),
            created_at: head.created_at,
            updated_at: head.updated_at,
        };
        Ok((id, info))
    }

    /// Servers may take filters as patterns; only what equals them was meant.
    fn is_wanted(&self, info: &PartInfo) -> bool {
        let fits =
            |filter: &Option<String>, value: &str| filter.as_deref().is_none_or(|filter| filter == value);
        fits(&self.query.name, &info.name) && fits(&self.query.data_type, &info.data_type)
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
            self.hear(Message::Data(piece)).await?;
        }
        Ok(())
    }

    async fn end_part(&mut self) -> Result<(), Stop> {
        if matches!(self.mode, Mode::Skip) {
            return Ok(());
        }
        if let Some(current) = self.current.take() {
            let sha256 = hex::encode(current.hash.finalize());
            tracing::debug!(
                task_id = %self.access.task_id(), id = %current.id, size = current.delivered, sha256, "downloaded a part"
            );
            self.done.push(current.id);
        }
        self.hear(Message::PartEnd).await
    }

    /// Whether every id that the query lists came, so that nothing can be missing.
    fn everything_came(&self) -> bool {
        let Query { ids, name, data_type } = &self.query;
        let exact = !ids.is_empty() && name.is_none() && data_type.is_none();
        exact && self.current.is_none() && ids.iter().all(|id| self.done.contains(id))
    }

    fn check_end(&self, ending: Ending) -> Result<(), Stop> {
        if self.everything_came() {
            return Ok(());
        }
        if ending == Ending::Open {
            return Err(MultipartError::Truncated("after a part, before the closing boundary").into());
        }
        if self.current.is_some() {
            return Err(inconsistent("a part was gone when it was taken up again after a cut".to_owned()));
        }
        let Query { ids, name, data_type } = &self.query;
        let missing = ids.iter().find(|id| !self.done.contains(id));
        match missing {
            Some(id) if name.is_none() && data_type.is_none() => {
                Err(StorageError::NoSuchData(format!("the server sent nothing for the id {id}")).into())
            }
            _ if self.done.is_empty() => {
                Err(StorageError::NoSuchData("the server sent no part for the input's CID".to_owned()).into())
            }
            _ => Ok(()),
        }
    }

    async fn hear(&self, message: Message) -> Result<(), Stop> {
        self.out.send(Ok(message)).map(|sent| sent.map_err(|_| Stop::Unheard)).await
    }
}

fn inconsistent(why: String) -> Stop {
    Stop::Failed(StorageError::Inconsistent(why))
}
