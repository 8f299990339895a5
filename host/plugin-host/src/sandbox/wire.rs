//! What a node and a sandbox process say to each other. Neither direction carries a secret of the node, and the node
//! takes nothing that comes from a sandbox process for true.
//!
//! A frame is JSON, mostly one datagram (`channel`); bulk bytes lie in the call's `arena`, and a frame only names the slot.

use std::collections::BTreeMap;

use posemesh_domain_data::cid::MAX_CID_BYTES;
use posemesh_runner_api::failure::{Blame, FailureKind};
use posemesh_runner_api::json_text::JsonText;
use posemesh_runner_api::ports::{Artifact, ArtifactSpec, PartInfo, PortError};
use posemesh_runner_api::reports::StopReason;
use posemesh_runner_api::task::Task;
use serde::{Deserialize, Serialize};

use crate::instance::outputs::artifact::check_spec;
use crate::manifest::description::RawDescription;
use crate::manifest::limits::Limits;

/// The hidden command that makes this program a sandbox process; its argument is the process of the node.
pub(crate) const COMMAND: &str = "serve-runner";

/// The largest frame of a node, in bytes: a task is as large as a lease may be.
pub(crate) const MAX_FROM_NODE: usize = 64 << 20;

/// The largest head of a request, in bytes: twice what the header lines of a guest may be.
pub(crate) const MAX_HEAD: usize = 256 << 10;
/// What a header line takes beside its text.
const LINE_BYTES: usize = 64;

/// Numbers the calls of one process. Never used again.
pub(crate) type CallId = u64;
/// Numbers the asks of one call. The ask that opens something is its number from then on.
pub(crate) type AskId = u64;

/// Numbers the memory that calls share with their node, within one process.
pub(crate) type MemoryId = u32;

/// From the node to a sandbox process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToGuest {
    /// The first frame; its descriptors are the folder of the process, the code, and the granted directories.
    Setup(Setup),
    /// Calls `describe`.
    Describe { limits: Limits, instance_bytes: u64 },
    /// Runs a task. When the memory that it names is new, its descriptors are the arena and the page of that.
    Run(Box<Order>),
    /// Asks a call to stop.
    Stop { call: CallId, reason: StopReason },
    /// Ends a call whose result nobody waits for any more; no other call gets its memory.
    Abandon { call: CallId, memory: MemoryId },
    /// The answer to an ask.
    Answer { call: CallId, ask: AskId, answer: Result<Answer, Refusal> },
}

/// What a sandbox process serves from its start to its end.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Setup {
    /// The runner's file, for logs.
    pub(crate) label: String,
    /// Where the folders of its tasks are made. Nothing else of the file system is needed.
    pub(crate) folder: String,
    /// The names of the granted directories, in the order of their descriptors.
    pub(crate) directories: Vec<String>,
    /// Whether its instances could have places of one size each.
    pub(crate) poolable: bool,
    /// Whether the process must not start without everything that holds it.
    pub(crate) require: bool,
    /// Whether it only closes the locks and tells which there are: there is no code then, and the process ends.
    pub(crate) probe: bool,
}

/// One task.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    pub(crate) call: CallId,
    /// Which memory the call shares with the node: no other call has it before this one has ended.
    pub(crate) memory: MemoryId,
    /// The runner, for failures.
    pub(crate) label: String,
    pub(crate) task: Task,
    /// Where the task's folder is made when it has use for one: below the folder of the process.
    pub(crate) folder: String,
    pub(crate) limits: Limits,
    pub(crate) environment: Vec<(String, String)>,
    /// Whether requests by HTTP are passed on at all.
    pub(crate) http: bool,
    /// What an instance costs the process, in bytes.
    pub(crate) instance_bytes: u64,
}

/// From a sandbox process to the node.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToNode {
    /// The code is linked and the process is held; `missing` says by what it is not, in words.
    Ready { missing: Vec<String> },
    /// It can't serve.
    NotReady(NotReady),
    /// What `describe` returned.
    Described(Result<Box<RawDescription>, NotDescribed>),
    /// Something that only the node can do.
    Ask { call: CallId, ask: AskId, what: Ask },
    /// What this ask opened is not needed any more.
    Close { call: CallId, opened: AskId },
    /// The latest progress.
    Progress { call: CallId, json: JsonText },
    /// An event.
    Event { call: CallId, json: JsonText },
    /// Events that came too fast.
    EventsDropped { call: CallId, count: u64 },
    /// A line that the runner printed.
    Line { call: CallId, stream: Stream, level: Level, text: String },
    /// Lines beyond the budget.
    LinesDropped { call: CallId, count: u64 },
    /// What the call has used of its limits, by their names.
    Usage { call: CallId, used: BTreeMap<String, u64> },
    /// The call's end: the last frame about it, with what it has used in the end. `folder` says whether it has made its
    /// folder; what is left because this was a lie goes with the process.
    Ended {
        call: CallId,
        result: Result<(), Failure>,
        #[serde(default = "made")]
        folder: bool,
        #[serde(default)]
        used: BTreeMap<String, u64>,
    },
}

/// Whoever does not say has made it.
fn made() -> bool {
    true
}

/// Why a process can't serve.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum NotReady {
    /// The component is not of the world of runners.
    World(String),
    /// The code can't be loaded.
    Code(String),
    /// This machine lacks what the operator requires.
    Machine(String),
}

/// Why a runner did not describe itself.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum NotDescribed {
    Runner(String),
    /// It did, but not as a runner may: what is too long or too much for that does not travel.
    Wrongly(String),
    Host(String),
}

/// How a run failed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    pub(crate) blame: Blame,
    pub(crate) reason: String,
    /// As text: a value takes many times as much memory.
    pub(crate) details: JsonText,
}

/// What only the node can do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Ask {
    /// Opens a CID. The answer may be the whole input, in this slot.
    Open { cid: String, slot: Option<u32> },
    /// Moves on to the next part.
    NextPart { opened: AskId },
    /// Reads into a slot: of a part, or of an answer's body.
    Read { opened: AskId, slot: u32, max: u32 },
    /// Starts an artifact.
    Create(ArtifactSpec),
    /// Appends the bytes of a slot: to an artifact, or to a request's body.
    Write { opened: AskId, slot: u32, length: u32 },
    /// Stores an artifact, or ends a request's body.
    Finish { opened: AskId },
    /// Sends a request; answered with the head of its answer. Its body, if it has one, is written meanwhile.
    Request(Request),
}

impl Ask {
    /// What it is asked of, by the ask that opened it; None when it opens something itself.
    pub(crate) fn of(&self) -> Option<AskId> {
        match self {
            Self::NextPart { opened }
            | Self::Read { opened, .. }
            | Self::Write { opened, .. }
            | Self::Finish { opened } => Some(*opened),
            Self::Open { .. } | Self::Create(_) | Self::Request(_) => None,
        }
    }

    /// The slot that it names.
    pub(crate) fn slot(&self) -> Option<u32> {
        match self {
            Self::Open { slot, .. } => *slot,
            Self::Read { slot, .. } | Self::Write { slot, .. } => Some(*slot),
            Self::NextPart { .. } | Self::Create(_) | Self::Finish { .. } | Self::Request(_) => None,
        }
    }

    /// Whether its texts are as long as may be. The process has looked, so that a guest gets an error; the node keeps some
    /// of them for as long as the task goes on.
    ///
    /// # Errors
    /// When an honest process would not send it, in words.
    pub(crate) fn check(&self) -> Result<(), String> {
        let fits = match self {
            Self::Open { cid, .. } => cid.len() <= MAX_CID_BYTES,
            Self::Create(spec) => check_spec(spec).is_ok(),
            Self::Request(request) => request.bytes() <= MAX_HEAD,
            Self::NextPart { .. } | Self::Read { .. } | Self::Write { .. } | Self::Finish { .. } => true,
        };
        if fits { Ok(()) } else { Err("it names what no guest may name".to_owned()) }
    }
}

/// The head of a request.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) uri: String,
    pub(crate) headers: Headers,
    pub(crate) has_body: bool,
    pub(crate) connect_timeout_ms: Option<u64>,
    pub(crate) first_byte_timeout_ms: Option<u64>,
}

impl Request {
    /// What it takes to keep it, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        let line = |(name, value): &(String, Vec<u8>)| LINE_BYTES + name.len() + value.len();
        self.method.len() + self.uri.len() + self.headers.iter().map(line).sum::<usize>()
    }
}

/// Header lines: values need not be text.
pub(crate) type Headers = Vec<(String, Vec<u8>)>;

/// Header lines as they travel.
pub(crate) fn headers(map: &http::HeaderMap) -> Headers {
    map.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect()
}

/// The answer to an ask that went well.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// There is nothing to say.
    Done,
    /// The next part, if there is one.
    Part(Option<PartInfo>),
    /// So many bytes lie in the slot; none at the end.
    Bytes(u32),
    /// What was opened has this part alone, whose bytes lie in the slot. It is closed.
    Whole { part: PartInfo, length: u32 },
    /// The stored artifact.
    Stored(Artifact),
    /// The head of an answer.
    Head { status: u16, headers: Headers },
}

/// The answer to an ask that did not.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Refusal {
    /// An error of a port.
    Port(PortError),
    /// An error of HTTP.
    Http(HttpError),
}

/// The errors of `wasi:http` that the node makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum HttpError {
    Denied,
    UriInvalid,
    Protocol,
    DestinationIpProhibited,
    DestinationUnavailable,
    ConnectionTimeout,
    ConnectionReadTimeout,
    ConnectionLimitReached,
    Internal(String),
}

/// Where a line was printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
    Log,
    Event,
    Host,
    Node,
}

impl Stream {
    /// The name in logs.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Log => "log",
            Self::Event => "event",
            Self::Host => "host",
            Self::Node => "node",
        }
    }

    /// The stream of that name; the node's own for any other.
    pub(crate) fn named(name: &str) -> Self {
        [Self::Stdout, Self::Stderr, Self::Log, Self::Event, Self::Host]
            .into_iter()
            .find(|stream| stream.as_str() == name)
            .unwrap_or(Self::Node)
    }
}

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Level {
    Error,
    Warn,
    Info,
    Debug,
}

impl From<tracing::Level> for Level {
    fn from(level: tracing::Level) -> Self {
        match level {
            tracing::Level::ERROR => Self::Error,
            tracing::Level::WARN => Self::Warn,
            tracing::Level::INFO => Self::Info,
            _ => Self::Debug,
        }
    }
}

impl From<Level> for tracing::Level {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::ERROR,
            Level::Warn => Self::WARN,
            Level::Info => Self::INFO,
            Level::Debug => Self::DEBUG,
        }
    }
}
