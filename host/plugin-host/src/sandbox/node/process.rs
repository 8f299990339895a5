//! One sandbox process, as its node sees it: started, set up, listened to, and ended.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use posemesh_text::one_line;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tokio::process::Command;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::code::places::{STACK_BYTES, TABLE_BYTES};
use crate::folders::OpenFolder;
use crate::manifest::description::RawDescription;
use crate::manifest::limits::Limits;
use crate::sandbox::arena::{SLOT, SLOTS};
use crate::sandbox::channel::{ChannelEnd, Peer, pair};
use crate::sandbox::node::ending::{KillSwitch, ProcessEnd, wait};
use crate::sandbox::node::frames::{CallFrames, Calls, Frames, listen};
use crate::sandbox::node::groups::Group;
use crate::sandbox::node::memories::{DESCRIPTORS, Memories};
use crate::sandbox::wire::{COMMAND, CallId, NotDescribed, NotReady, Setup, ToGuest, ToNode};

/// The largest frame that a sandbox process may send: the largest report, and room for its escapes.
const MAX_FRAME: usize = 4 << 20;
/// How long loading code and closing the locks may take.
const SET_UP_TIME: Duration = Duration::from_secs(60);
/// How long a process may take no frame. It does nothing else than to take them.
const SEND_TIME: Duration = Duration::from_secs(30);
/// Grace for `describe` after its deadline, which the process holds it to itself.
const DESCRIBE_GRACE: Duration = Duration::from_secs(5);

/// What the writable memory of a process may be before its first call, and what each call adds to its limit of memory:
/// stacks, buffers, tables of the host. Bytes.
const OWN_MEMORY: u64 = 192 << 20;
const CALL_MEMORY: u64 = 96 << 20;
/// What the places of instances are of that, however few are taken.
const PLACES_MEMORY: u64 = STACK_BYTES + TABLE_BYTES;
/// Descriptors of a process, and of each call beside its handles.
const OWN_DESCRIPTORS: u64 = 128;
const CALL_DESCRIPTORS: u64 = 64;
/// A listing of WASI 0.3 takes a descriptor and so many of the handles.
const LISTING_HANDLES: u64 = 3;
/// The least size of a file that a process may write: an arena is one.
const LEAST_FILE: u64 = 64 << 20;

/// What a process is started with.
pub(super) struct Start<'a> {
    pub(super) program: &'a Path,
    pub(super) label: String,
    /// None only closes the locks and tells which there are.
    pub(super) code: Option<&'a OwnedFd>,
    /// The process's own folder, which is there and empty.
    pub(super) folder: PathBuf,
    /// The granted folders.
    pub(super) folders: &'a [OpenFolder],
    /// Whether its instances could have places of one size each.
    pub(super) poolable: bool,
    pub(super) require: bool,
    /// Its control group, where it gets one.
    pub(super) group: Option<Arc<Group>>,
}

/// Why a process could not be started.
#[derive(Debug)]
pub(super) enum StartError {
    /// The component is of another world.
    World(String),
    /// This machine: no process, no memory, or not what the operator requires.
    Host(String),
}

/// A sandbox process. Dropped, it is ended.
#[derive(Debug)]
pub(super) struct Process {
    pid: Option<Pid>,
    pub(super) folder: PathBuf,
    /// The same, open.
    own: OwnedFd,
    end: Arc<ChannelEnd>,
    calls: Arc<Calls>,
    next_call: AtomicU64,
    described: tokio::sync::Mutex<mpsc::Receiver<ToNode>>,
    ended: watch::Receiver<Option<ProcessEnd>>,
    killed: Arc<Mutex<Option<String>>>,
    kill: CancellationToken,
    /// With the last reference the process ends: it has nothing to finish.
    _end_on_drop: DropGuard,
    /// What is lacking to hold it, in words.
    pub(super) missing: Vec<String>,
    /// What calls share with the process.
    pub(super) memories: Memories,
    /// The limits of the calls that go on, added up, and when the last one ended.
    use_: Mutex<Use>,
    group: Option<Arc<Group>>,
    poolable: bool,
}

#[derive(Debug)]
struct Use {
    calls: u64,
    memory: u64,
    descriptors: u64,
    file: u64,
    /// What the kernel was told last: writable memory, descriptors, the size of a file.
    held: [u64; 3],
    idle_since: Instant,
}

impl Process {
    /// Starts a process and waits until it is ready.
    pub(super) async fn start(start: Start<'_>) -> Result<Arc<Self>, StartError> {
        let host = |what: &str, error: io::Error| StartError::Host(format!("{what}: {error}"));
        let own = std::fs::File::open(&start.folder)
            .map_err(|error| host("opening the sandbox's folder", error))?
            .into();
        let (ours, theirs) =
            pair().map_err(|error| host("making the channel to a sandbox process", error))?;
        let mut child = Command::new(start.program)
            .args([COMMAND.to_owned(), std::process::id().to_string()])
            .env_clear()
            // glibc reserves address space for each thread that allocates, and keeps what was freed there.
            .env("MALLOC_ARENA_MAX", "2")
            .current_dir("/")
            // A terminal signals the whole group of its foreground: the node is asked to stop, not its processes.
            .process_group(0)
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| host("starting a sandbox process", error))?;
        let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        if let (Some(group), Some(id)) = (&start.group, child.id()) {
            // Before it is told anything: it only waits for that. One that has died is noticed by its silence.
            let _ = group.take(id);
        }
        let end = Arc::new(
            ChannelEnd::new(ours, Peer::Process, MAX_FRAME).map_err(|error| host("the channel", error))?,
        );
        let stderr = child.stderr.take();
        let (ended_sender, ended) = watch::channel(None);
        let (kill, killed) = (CancellationToken::new(), Arc::new(Mutex::new(None)));
        let (end_of, end_by) = ((child, stderr), (kill.clone(), killed.clone()));
        tokio::spawn(wait(end_of, start.group.clone(), end_by, ended_sender));
        let calls = Arc::new(Calls::default());
        let (words, mut heard) = mpsc::channel(4);
        let process = Self {
            pid,
            folder: start.folder,
            own,
            end: end.clone(),
            calls: Arc::clone(&calls),
            next_call: AtomicU64::new(1),
            described: tokio::sync::Mutex::new(mpsc::channel(1).1),
            ended,
            killed,
            _end_on_drop: kill.clone().drop_guard(),
            kill,
            missing: Vec::new(),
            memories: Memories::default(),
            use_: Mutex::new(Use {
                calls: 0,
                memory: 0,
                descriptors: 0,
                file: 0,
                held: [0; 3],
                idle_since: Instant::now(),
            }),
            group: start.group,
            poolable: start.poolable,
        };
        process.hold(&mut process.used());
        tokio::spawn(listen(end, calls, words, process.kill_switch(), process.ended.clone()));

        let setup = Setup {
            label: start.label,
            folder: process.folder.display().to_string(),
            directories: start.folders.iter().map(|folder| folder.name.clone()).collect(),
            poolable: start.poolable,
            require: start.require,
            probe: start.code.is_none(),
        };
        let mut descriptors = vec![process.own.as_fd()];
        descriptors.extend(start.code.map(|code| code.as_fd()));
        descriptors.extend(start.folders.iter().map(|folder| folder.folder.as_fd()));
        let sent = process.send(&ToGuest::Setup(setup), &descriptors).await;
        sent.map_err(|error| host("setting a sandbox process up", error))?;
        // Ends with the process, after the last that it has said.
        match timeout(SET_UP_TIME, heard.recv()).await {
            Ok(Some(ToNode::Ready { missing })) => {
                let missing = missing.iter().take(8).map(|what| one_line(what, 200)).collect();
                Ok(Arc::new(Self { missing, described: tokio::sync::Mutex::new(heard), ..process }))
            }
            Ok(Some(ToNode::NotReady(NotReady::World(what)))) => Err(StartError::World(what)),
            Ok(Some(ToNode::NotReady(NotReady::Code(what)))) => {
                Err(StartError::Host(format!("the compiled code can't be used: {what}")))
            }
            Ok(Some(ToNode::NotReady(NotReady::Machine(what)))) => Err(StartError::Host(what)),
            Ok(_) => Err(StartError::Host(format!(
                "a sandbox process ended as it began: {}",
                process.over().await.what()
            ))),
            Err(_) => Err(StartError::Host(format!("a sandbox process was not ready after {SET_UP_TIME:?}"))),
        }
    }

    /// Calls `describe`.
    pub(super) async fn describe(
        &self,
        limits: &Limits,
        instance_bytes: u64,
    ) -> Result<RawDescription, NotDescribed> {
        let mut heard = self.described.lock().await;
        let _held = self.begin(limits);
        let gone = |end: &ProcessEnd| {
            let what = format!("its sandbox process ended: {}", end.what());
            if end.by_the_kernel() { NotDescribed::Host(what) } else { NotDescribed::Runner(what) }
        };
        if self.send(&ToGuest::Describe { limits: limits.clone(), instance_bytes }, &[]).await.is_err() {
            return Err(gone(&self.over().await));
        }
        let latest = limits.deadline().saturating_add(DESCRIBE_GRACE);
        match timeout(latest, heard.recv()).await {
            Ok(Some(ToNode::Described(described))) => return described.map(|described| *described),
            Ok(Some(_)) => self.kill("it broke the protocol of the sandbox"),
            // It has ended.
            Ok(None) => {}
            Err(_) => self.kill("`describe` did not end at its deadline"),
        }
        Err(gone(&self.over().await))
    }

    /// Sends a frame. A process that does not take it is ended: whoever sends must not wait for it for ever.
    pub(super) async fn send(&self, frame: &ToGuest, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        timeout(SEND_TIME, self.end.send(frame, descriptors)).await.unwrap_or_else(|_| {
            self.kill(format!("it took nothing that it was sent for {SEND_TIME:?}"));
            Err(io::ErrorKind::TimedOut.into())
        })
    }

    /// The channel, for those who answer.
    pub(super) fn channel(&self) -> Arc<ChannelEnd> {
        self.end.clone()
    }

    /// A new call: its number, and where its frames arrive until the returned guard is dropped; none when the process has
    /// ended.
    pub(super) fn call(&self) -> (CallId, Frames, CallFrames) {
        let call = self.next_call.fetch_add(1, Ordering::Relaxed);
        let (frames, guard) = self.calls.begin(call);
        (call, frames, guard)
    }

    /// Makes room for one more call of these limits, until the returned guard is dropped.
    pub(super) fn begin(&self, limits: &Limits) -> UseGuard<'_> {
        let memory = limits.memory_bytes.saturating_add(CALL_MEMORY);
        // Handles of WASI 0.3 are counted apart from the others.
        let listings = limits.handles / LISTING_HANDLES;
        let descriptors = limits.handles.saturating_add(listings).saturating_add(CALL_DESCRIPTORS);
        let mut used = self.used();
        used.calls += 1;
        used.memory = used.memory.saturating_add(memory);
        used.descriptors = used.descriptors.saturating_add(descriptors);
        used.file = used.file.max(limits.scratch_bytes);
        self.hold(&mut used);
        UseGuard { process: self, memory, descriptors }
    }

    /// Sets what the kernel lets the process have. Writable memory and not address space: wasmtime reserves much of
    /// that and uses little.
    fn hold(&self, used: &mut Use) {
        let memories = self.memories.made();
        let kept = memories * DESCRIPTORS;
        if let Some(group) = &self.group {
            let files = memories.saturating_mul(SLOT as u64 * u64::from(SLOTS));
            group.allow_memory(OWN_MEMORY.saturating_add(used.memory).saturating_add(files));
        }
        let places = if self.poolable { PLACES_MEMORY } else { 0 };
        let memory = OWN_MEMORY.saturating_add(places).saturating_add(used.memory);
        let wanted = [
            // A place that is empty keeps its memory writable, as large as its last instance made it, until the next one is
            // made there; it holds nothing. There are as many such places as there were calls at once.
            if self.poolable { memory.max(used.held[0]) } else { memory },
            OWN_DESCRIPTORS.saturating_add(kept).saturating_add(used.descriptors),
            LEAST_FILE.max(used.file),
        ];
        let held = std::mem::replace(&mut used.held, wanted);
        for (((resource, maximum), most), held) in maxima().iter().zip(wanted).zip(held) {
            let Some(pid) = self.pid.filter(|_| most != held) else { continue };
            // The hard limit stays, since only a privileged node could raise it again; the process itself can't change
            // either.
            let current = maximum.map_or(most, |maximum| maximum.min(most));
            // A process that is gone has no limits.
            let _ = prlimit(Some(pid), *resource, Rlimit { current: Some(current), maximum: *maximum });
        }
    }

    /// Since when no call has gone on; None while one does.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let used = self.used();
        (used.calls == 0).then_some(used.idle_since)
    }

    /// Whether its folder is still somewhere in the file system.
    pub(super) fn has_folder(&self) -> bool {
        rustix::fs::fstat(&self.own).is_ok_and(|stat| stat.st_nlink > 0)
    }

    /// Whether it has ended, or is about to.
    pub(super) fn is_over(&self) -> bool {
        self.ended.borrow().is_some() || self.kill.is_cancelled() || self.calls.is_over()
    }

    /// Waits for its end.
    pub(super) async fn over(&self) -> ProcessEnd {
        let mut ended = self.ended.clone();
        let unknown = || ProcessEnd {
            killed: None,
            status: None,
            complaint: String::new(),
            out_of_memory: false,
            its_own_memory: false,
        };
        match ended.wait_for(Option::is_some).await {
            Ok(end) => end.clone().unwrap_or_else(unknown),
            Err(_) => unknown(),
        }
    }

    /// Ends it now.
    pub(super) fn kill(&self, why: impl Into<String>) {
        self.kill_switch().kill(why);
    }

    fn kill_switch(&self) -> KillSwitch {
        KillSwitch { killed: self.killed.clone(), kill: self.kill.clone() }
    }

    fn used(&self) -> MutexGuard<'_, Use> {
        self.use_.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One call's share of what the process may have.
pub(super) struct UseGuard<'a> {
    process: &'a Process,
    memory: u64,
    descriptors: u64,
}

impl Drop for UseGuard<'_> {
    fn drop(&mut self) {
        let mut used = self.process.used();
        used.calls -= 1;
        used.memory -= self.memory.min(used.memory);
        used.descriptors -= self.descriptors.min(used.descriptors);
        used.idle_since = Instant::now();
        self.process.hold(&mut used);
    }
}

/// The hard limits of this process, which its children have too.
fn maxima() -> &'static [(Resource, Option<u64>); 3] {
    static MAXIMA: OnceLock<[(Resource, Option<u64>); 3]> = OnceLock::new();
    MAXIMA.get_or_init(|| {
        [Resource::Data, Resource::Nofile, Resource::Fsize]
            .map(|resource| (resource, rustix::process::getrlimit(resource).maximum))
    })
}
