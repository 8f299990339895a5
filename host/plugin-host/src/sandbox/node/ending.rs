//! How a sandbox process ends: by itself, by the kernel, or by its node; and what is known of it then.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, PoisonError};

use posemesh_text::one_line;
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStderr};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::sandbox::node::groups::Group;

/// How much is kept of what a process writes to its standard error.
const MAX_COMPLAINT: usize = 2 << 10;

/// How a process ended.
#[derive(Debug, Clone)]
pub(super) struct ProcessEnd {
    /// Why the node has ended it, if it has.
    pub(super) killed: Option<String>,
    pub(super) status: Option<ExitStatus>,
    /// The last of what it wrote to its standard error.
    pub(super) complaint: String,
    /// The kernel has ended processes for want of memory meanwhile.
    pub(super) out_of_memory: bool,
    /// The kernel has ended it for using more than its control group may.
    pub(super) its_own_memory: bool,
}

impl ProcessEnd {
    /// The end in words.
    pub(super) fn what(&self) -> String {
        let complaint = if self.complaint.is_empty() {
            String::new()
        } else {
            format!("; its last words: {}", self.complaint)
        };
        match (&self.killed, self.status) {
            (Some(why), _) => format!("the node has ended it: {why}"),
            (None, Some(_)) if self.its_own_memory => {
                "the kernel has ended it: it used more memory than its tasks may".to_owned()
            }
            (None, Some(status)) => match status.signal() {
                Some(signal) => format!("signal {signal} ({}){complaint}", signal_name(signal)),
                None => format!("{status}{complaint}"),
            },
            (None, None) => format!("unknown{complaint}"),
        }
    }

    /// Whether the kernel has ended it, which it does when memory runs out. Somebody else may send that signal too.
    pub(super) fn by_the_kernel(&self) -> bool {
        let by_signal = self.status.and_then(|status| status.signal()) == Some(libc::SIGKILL);
        self.killed.is_none() && by_signal && self.out_of_memory && !self.its_own_memory
    }
}

fn signal_name(signal: i32) -> &'static str {
    match signal {
        libc::SIGILL => "SIGILL, an instruction that is none",
        libc::SIGABRT => "SIGABRT, it gave up",
        libc::SIGBUS => "SIGBUS, memory that is not there",
        libc::SIGFPE => "SIGFPE",
        libc::SIGKILL => "SIGKILL, by the kernel for want of memory or by somebody else",
        libc::SIGSEGV => "SIGSEGV, memory that is not its own, or the end of its stack",
        libc::SIGSYS => "SIGSYS, a forbidden system call",
        libc::SIGXCPU => "SIGXCPU",
        libc::SIGXFSZ => "SIGXFSZ, a file that is too large",
        _ => "a signal",
    }
}

/// Ends a process, with the reason.
#[derive(Debug, Clone)]
pub(super) struct KillSwitch {
    pub(super) killed: Arc<Mutex<Option<String>>>,
    pub(super) kill: CancellationToken,
}

impl KillSwitch {
    pub(super) fn kill(&self, why: impl Into<String>) {
        self.killed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| why.into());
        self.kill.cancel();
    }
}

/// Waits for a process's end, whoever brings it about.
pub(super) async fn wait(
    (mut child, stderr): (Child, Option<ChildStderr>),
    group: Option<Arc<Group>>,
    (kill, killed): (CancellationToken, Arc<Mutex<Option<String>>>),
    ended: watch::Sender<Option<ProcessEnd>>,
) {
    let listening = tokio::spawn(last_words(stderr));
    let before = oom_kills().await;
    let (status, killed) = tokio::select! {
        // Whoever finds it dead has not ended it.
        status = child.wait() => (status, None),
        () = kill.cancelled() => {
            let _ = child.start_kill();
            let status = child.wait().await;
            (status, killed.lock().unwrap_or_else(PoisonError::into_inner).clone())
        }
    };
    let complaint = listening.await.unwrap_or_default();
    let out_of_memory = oom_kills().await > before;
    let its_own_memory = group.is_some_and(|group| group.ran_out_of_memory());
    let end = ProcessEnd { killed, status: status.ok(), complaint, out_of_memory, its_own_memory };
    // Nobody may be interested any more.
    let _ = ended.send(Some(end));
}

/// How many processes the kernel has ended for want of memory since it was started, those of cgroups included.
async fn oom_kills() -> u64 {
    let text = tokio::fs::read_to_string("/proc/vmstat").await.unwrap_or_default();
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or_default()
}

/// The last that a process writes to its standard error: it may write whatever it likes.
async fn last_words(stderr: Option<ChildStderr>) -> String {
    let Some(mut stderr) = stderr else { return String::new() };
    let (mut tail, mut chunk) = (Vec::new(), [0; 1024]);
    while let Ok(read @ 1..) = stderr.read(&mut chunk).await {
        tail.extend_from_slice(chunk.get(..read).unwrap_or_default());
        let surplus = tail.len().saturating_sub(MAX_COMPLAINT);
        tail.drain(..surplus);
    }
    one_line(String::from_utf8_lossy(&tail).trim(), MAX_COMPLAINT)
}
