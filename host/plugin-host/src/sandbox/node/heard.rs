//! What is made of one frame about a call.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use posemesh_runner_api::ports::{InputPort, OutputPort};
use posemesh_runner_api::reports::{LimitUse, ReportLimits, Reports};
use tracing::Span;

use crate::instance::runner_log::{MAX_LINE, RunnerLog};
use crate::instance::trouble::RunTrouble;
use crate::manifest::limits::{Limit, Limits};
use crate::sandbox::arena::Arena;
use crate::sandbox::channel::{ChannelEnd, Peer, pair, receive_blocking};
use crate::sandbox::node::budget::CallBudget;
use crate::sandbox::node::objects::Objects;
use crate::sandbox::node::steps::Answers;
use crate::sandbox::wire::{Failure, Stream, ToNode};

/// The most events that one frame can say were dropped.
const MAX_EVENTS: u64 = 1 << 20;
/// The most lines that one frame can say were dropped.
const MAX_LINES: u64 = 1 << 40;

/// The longest line, in bytes: one that a process passes on was cut before it was escaped.
const MAX_TEXT: usize = 32 * MAX_LINE;

/// How a call ended, as its process says.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) result: Result<(), Failure>,
    /// Whether there is a folder to be removed.
    pub(super) folder: bool,
}

/// Takes a frame; how the call ended, if it was the last.
///
/// # Errors
/// When an honest process would not say that, in words.
pub(super) fn take_frame(
    frame: ToNode,
    reports: &Reports,
    objects: &mut Objects,
    log: &RunnerLog,
    limits: &Limits,
) -> Result<Option<Ended>, String> {
    match frame {
        ToNode::Ask { ask, what, .. } => objects.take(ask, what)?,
        ToNode::Close { opened, .. } => objects.close(opened),
        ToNode::Progress { json, .. } => {
            objects.budget.report(&json)?;
            reports.progress(json);
        }
        ToNode::Event { json, .. } => {
            objects.budget.report(&json)?;
            reports.event(json);
        }
        ToNode::EventsDropped { count, .. } => {
            reports.count_dropped_events(count.min(MAX_EVENTS));
        }
        ToNode::Line { stream: Stream::Event, text, .. } => log.event(&text),
        ToNode::Line { text, .. } if text.len() > MAX_TEXT => {
            return Err("it prints lines that are too long".to_owned());
        }
        ToNode::Line { stream, level, text, .. } => log.line(stream.as_str(), level.into(), &text),
        ToNode::LinesDropped { count, .. } => log.count_dropped(count.min(MAX_LINES)),
        ToNode::Usage { used, .. } => tell_usage(reports, &used, limits),
        ToNode::Ended { result, folder, used, .. } => {
            tell_usage(reports, &used, limits);
            return Ok(Some(Ended { result, folder }));
        }
        ToNode::Ready { .. } | ToNode::NotReady(_) | ToNode::Described(_) => {}
    }
    Ok(None)
}

fn tell_usage(reports: &Reports, used: &BTreeMap<String, u64>, limits: &Limits) {
    // Empty before there is an instance.
    if !used.is_empty() {
        reports.set_usage(usage(used, limits));
    }
}

/// What was used of limits that there are, in the order of the table.
fn usage(used: &BTreeMap<String, u64>, limits: &Limits) -> Vec<LimitUse> {
    let mut uses: Vec<(Limit, u64)> =
        used.iter().filter_map(|(name, used)| Some((Limit::named(name)?, *used))).collect();
    uses.sort_by_key(|(limit, _)| limit.order());
    let shown = |(limit, used): (Limit, u64)| LimitUse { limit: limit.as_str(), used, of: limits.get(limit) };
    uses.into_iter().map(shown).collect()
}

/// What became of frames that are of nobody: see [`hear`].
#[derive(Debug)]
pub struct Heard {
    /// How many were taken before one that an honest process would not say.
    pub taken: usize,
    /// What was wrong with that one.
    pub refused: Option<String>,
    /// The reports of the call.
    pub reports: Reports,
    /// The last lines of its log.
    pub lines: Vec<String>,
}

/// Takes frames as if a sandbox process had sent them, for the tests that any bytes are held by: with these ports, few
/// artifacts and little output.
///
/// # Errors
/// When this system can't make a channel.
pub async fn hear(
    frames: &[&[u8]],
    inputs: Arc<dyn InputPort>,
    outputs: Arc<dyn OutputPort>,
) -> std::io::Result<Heard> {
    let limits = Limits { artifacts: 4, output_bytes: 4 << 20, log_bytes: 4 << 10, ..Limits::default() };
    let (ours, theirs) = pair()?;
    let answers = Answers::new(Arc::new(ChannelEnd::new(ours, Peer::Process, 1 << 20)?), 1);
    let listening = std::thread::spawn(move || listen(&theirs));
    let (log, reports) =
        (RunnerLog::new(limits.log_bytes, Span::none()), Reports::new(ReportLimits::default()));
    let budget = CallBudget::new(&limits);
    let trouble = RunTrouble::default();
    let mut objects = Objects::new(inputs, outputs, None, Arena::create()?, answers, budget, trouble);
    let (mut taken, mut refused) = (0, None);
    for bytes in frames {
        let frame = serde_json::from_slice(bytes).map_err(|error| error.to_string());
        match frame.and_then(|frame| take_frame(frame, &reports, &mut objects, &log, &limits)) {
            Ok(_) => taken += 1,
            Err(what) => {
                refused = Some(posemesh_text::one_line(what, 200));
                break;
            }
        }
        tokio::task::yield_now().await;
    }
    // With the objects the last reference to the channel goes, which ends whoever listens.
    objects.close_all().await;
    let _ = listening.join();
    Ok(Heard { taken, refused, reports, lines: log.tail().0 })
}

/// Takes answers as a process would.
fn listen(theirs: &OwnedFd) {
    while let Ok(Some(_)) = receive_blocking(theirs, 1 << 20) {}
}
