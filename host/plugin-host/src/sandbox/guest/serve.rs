//! The life of a sandbox process: orders come in, calls go on beside each other, until the node closes the channel.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use posemesh_runner_api::disk::TaskDisk;
use posemesh_runner_api::failure::RunFailure;
use posemesh_runner_api::json_text::JsonText;
use posemesh_runner_api::reports::{ReportLimits, Reports};
use posemesh_runner_api::runner::RunnerCall;
use tokio_util::sync::CancellationToken;
use wasmtime_wasi_http::WasiHttpHooks;

use crate::folders::OpenFolder;
use crate::instance::describe::{DescribeError, describe};
use crate::instance::outbound::Outbound;
use crate::instance::run::{InstanceSetup, run_with};
use crate::instance::runner_log::RunnerLog;
use crate::instance::trouble::RunTrouble;
use crate::manifest::description::Description;
use crate::manifest::limits::Limits;
use crate::sandbox::channel::{ChannelEnd, Peer, Received};
use crate::sandbox::guest::engines::Engines;
use crate::sandbox::guest::http::LinkedHttp;
use crate::sandbox::guest::inputs::LinkedInputs;
use crate::sandbox::guest::link::{CallLink, CallMemory};
use crate::sandbox::guest::outbox::Outbox;
use crate::sandbox::guest::outputs::LinkedOutputs;
use crate::sandbox::guest::reports;
use crate::sandbox::shared_disk::SharedDisk;
use crate::sandbox::wire::{CallId, Failure, MemoryId, NotDescribed, Order, Stream, ToGuest, ToNode};

/// Everything that the process serves with.
pub(crate) struct Server {
    pub(crate) runtime: tokio::runtime::Runtime,
    pub(super) engines: Engines,
    pub(crate) label: String,
    /// The granted folders, open for as long as the process lives.
    pub(crate) folders: Vec<OpenFolder>,
}

/// What a call hears of the node while it runs.
struct Line {
    link: Arc<CallLink>,
    reports: Reports,
    abandoned: CancellationToken,
}

/// The calls that go on.
type Lines = Arc<Mutex<HashMap<CallId, Line>>>;

/// What all calls of the process share.
struct Shared {
    engines: Engines,
    label: String,
    folders: Arc<[OpenFolder]>,
    outbox: Outbox,
}

impl Server {
    /// Serves until the node closes the channel.
    ///
    /// # Errors
    /// When the channel fails.
    pub(crate) fn serve(
        self,
        channel: &Arc<OwnedFd>,
        max_frame: usize,
        outbox: Outbox,
    ) -> Result<(), String> {
        let Self { runtime, engines, label, folders } = self;
        let shared = Arc::new(Shared { engines, label, folders: folders.into(), outbox });
        let lines = Lines::default();
        let ended = runtime.block_on(async {
            let channel =
                channel.try_clone().and_then(|socket| ChannelEnd::new(socket, Peer::Node, max_frame));
            let channel = channel.map_err(|error| format!("the channel: {error}"))?;
            let mut memories = HashMap::new();
            loop {
                match channel.receive().await {
                    Ok(Some(received)) => take(&shared, &lines, &mut memories, received)?,
                    Ok(None) => return Ok(()),
                    Err(error) => return Err(format!("the channel: {error}")),
                }
            }
        });
        // Guests that still run go with the process.
        runtime.shutdown_background();
        ended
    }
}

/// Takes a frame of the node, whose every word is true.
fn take(
    shared: &Arc<Shared>,
    lines: &Lines,
    memories: &mut HashMap<MemoryId, (CallMemory, Arc<OwnedFd>)>,
    received: Received,
) -> Result<(), String> {
    let frame = received.parse().map_err(|error| format!("a frame of the node: {error}"))?;
    let with = |call, tell: &dyn Fn(&Line)| {
        // A call that has ended meanwhile hears nothing.
        lines.lock().unwrap_or_else(PoisonError::into_inner).get(&call).map(tell);
    };
    match frame {
        ToGuest::Setup(_) => return Err("the node set the process up twice".to_owned()),
        ToGuest::Describe { limits, instance_bytes } => {
            drop(tokio::spawn(describe_for_node(shared.clone(), limits, instance_bytes)));
        }
        ToGuest::Run(order) => {
            let mut descriptors = received.descriptors.into_iter();
            if let (Some(arena), Some(page)) = (descriptors.next(), descriptors.next()) {
                let arena = CallMemory::of(arena).map_err(|error| format!("an arena: {error}"))?;
                memories.insert(order.memory, (arena, Arc::new(page)));
            }
            let memory = memories.get(&order.memory).cloned();
            let (arena, page) = memory.ok_or("an order has no memory")?;
            let line = Line {
                link: CallLink::new(order.call, shared.outbox.clone(), arena),
                reports: Reports::new(ReportLimits::default()),
                abandoned: CancellationToken::new(),
            };
            let page = SharedDisk::of(page);
            page.begin();
            let call = run_order(shared.clone(), lines.clone(), *order, page, &line);
            lines.lock().unwrap_or_else(PoisonError::into_inner).insert(line.link.call, line);
            drop(tokio::spawn(call));
        }
        ToGuest::Stop { call, reason } => with(call, &|line| line.reports.stop(reason)),
        ToGuest::Abandon { call, memory } => {
            // Its guest goes on until its next tick.
            memories.remove(&memory);
            with(call, &|line| line.abandoned.cancel());
        }
        ToGuest::Answer { call, ask, answer } => {
            let link = {
                let lines = lines.lock().unwrap_or_else(PoisonError::into_inner);
                lines.get(&call).map(|line| line.link.clone())
            };
            if let Some(link) = link {
                link.answered(ask, answer);
            }
        }
    }
    Ok(())
}

async fn describe_for_node(shared: Arc<Shared>, limits: Limits, instance_bytes: u64) {
    let (pre, threads) = shared.engines.for_call();
    let described = describe(pre, Path::new(&shared.label), threads, &limits, instance_bytes).await;
    let described = described.map_err(|error| match error {
        DescribeError::Runner(what) => NotDescribed::Runner(what),
        DescribeError::Host(what) => NotDescribed::Host(what),
    });
    // The node looks for itself as well.
    let described = described.and_then(|raw| match Description::check(raw.clone()) {
        Ok(_) => Ok(Box::new(raw)),
        Err(what) => Err(NotDescribed::Wrongly(what)),
    });
    shared.outbox.send(&ToNode::Described(described));
}

/// One task, from its order to its last frame.
fn run_order(
    shared: Arc<Shared>,
    lines: Lines,
    order: Order,
    page: SharedDisk,
    line: &Line,
) -> impl Future<Output = ()> + Send + use<> {
    let (link, reports, abandoned) = (line.link.clone(), line.reports.clone(), line.abandoned.clone());
    async move {
        let Order { call, memory: _, label, task, folder, limits, environment, http, instance_bytes } = order;
        let disk = TaskDisk::new(folder);
        disk.share_with(Arc::new(page));
        let printed = shared.outbox.clone();
        let log = RunnerLog::passed_on(limits.log_bytes, move |stream, level, text| {
            let (stream, level) = (Stream::named(stream), level.into());
            printed.send(&ToNode::Line { call, stream, level, text: text.to_owned() });
        });
        let outbound: Box<dyn WasiHttpHooks> = match http {
            true => Box::new(LinkedHttp(link.clone())),
            false => Box::new(Outbound::closed(&limits, log.clone())),
        };
        let (pre, threads) = shared.engines.for_call();
        let setup = InstanceSetup {
            label: &label,
            limits: &limits,
            folders: shared.folders.clone(),
            environment: &environment,
            threads,
            log: log.clone(),
            outbound,
            trouble: RunTrouble::default(),
            instance_bytes,
        };
        let task_call = RunnerCall {
            task,
            inputs: Arc::new(LinkedInputs(link.clone())),
            outputs: Arc::new(LinkedOutputs { link: link.clone(), stop: reports.stop_token().clone() }),
            reports: reports.clone(),
            disk: disk.clone(),
            log_file: None,
        };
        let result = tokio::select! {
            result = run_with(pre, setup, task_call) => result,
            () = reports::pass_on(call, reports.clone(), shared.outbox.clone()) => Ok(()),
            // Dropping the run ends the guest at its next epoch tick or wait.
            () = abandoned.cancelled() => Err(RunFailure::host("the run was abandoned")),
        };
        reports::finish(call, &reports, &shared.outbox);
        let (_, count) = log.tail();
        if count > 0 {
            shared.outbox.send(&ToNode::LinesDropped { call, count });
        }
        let result = result.map_err(|RunFailure { kind, blame, reason, details }| Failure {
            kind,
            blame,
            reason,
            // Deeper than JSON may be nested there is nothing to be read.
            details: JsonText::parse(&details.to_string()).unwrap_or_default(),
        });
        // The next call has the page.
        disk.share_no_more();
        let (folder, used) = (disk.is_used(), reports::used(&reports));
        shared.outbox.send(&ToNode::Ended { call, result, folder, used });
        lines.lock().unwrap_or_else(PoisonError::into_inner).remove(&call);
    }
}
