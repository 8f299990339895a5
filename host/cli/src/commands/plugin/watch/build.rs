//! One run of a project's build command, which ends with all that it has started.

use std::io::{self, ErrorKind};
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::project::Project;

/// How long a build that is cancelled has before it is killed.
const GRACE: Duration = Duration::from_secs(2);
/// The longest line of Cargo's JSON that is read, in bytes.
const MAX_LINE: u64 = 4 << 20;

/// How a build ended.
pub(super) enum Built {
    /// It says that it succeeded, and where the component is if it is Cargo.
    Succeeded(Option<PathBuf>),
    Failed(ExitStatus),
    /// There is no such program.
    NoProgram,
    Cancelled,
}

/// Builds a project. What the build prints goes to standard error as it is. Ends with every process of the build, also when
/// `cancel` fires; dropping the future kills them.
///
/// # Errors
/// When the command can't be started.
pub(super) async fn build(project: &Project, cancel: &CancellationToken) -> Result<Built> {
    let build = &project.build;
    // Before it is started: its end must not be missed.
    let mut ended = signal(SignalKind::child()).context("listening to the end of the build")?;
    let output = || io::stderr().as_fd().try_clone_to_owned().map(Stdio::from);
    let started = Command::new(&build.program)
        .args(&build.arguments)
        .envs(build.variables.iter().map(|(name, value)| (name, value)))
        .current_dir(&project.dir)
        .stdin(Stdio::null())
        .stdout(if build.is_cargo { Stdio::piped() } else { output()? })
        .stderr(output()?)
        // A group of its own: it is ended as a whole, and a terminal's Ctrl-C is ours to pass on.
        .process_group(0)
        .spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) if error.kind() == ErrorKind::NotFound && project.dir.is_dir() => {
            return Ok(Built::NoProgram);
        }
        Err(error) => return Err(error).with_context(|| format!("starting the build, `{}`", build.shown)),
    };
    let group = Group::of(&child);
    let listening =
        child.stdout.take().map(|pipe| tokio::spawn(component_of(pipe, project.dir.join("Cargo.toml"))));
    let is_cancelled = tokio::select! {
        exited = exited(&child, &mut ended) => { exited?; false }
        () = cancel.cancelled() => true,
    };
    if is_cancelled {
        group.signal(Signal::TERM);
        // Whoever does not hear that is killed.
        let _ = timeout(GRACE, exited(&child, &mut ended)).await;
    }
    // What it has left behind, too. It is not waited for before: its number could be another group's then.
    drop(group);
    let status = child.wait().await.context("waiting for the end of the build")?;
    // Its pipe is closed now, since nobody of the group is left.
    let said = match listening {
        Some(listening) => timeout(GRACE, listening).await.ok().and_then(Result::ok).flatten(),
        None => None,
    };
    Ok(match (is_cancelled, status.success()) {
        (true, _) => Built::Cancelled,
        (false, true) => Built::Succeeded(said),
        (false, false) => Built::Failed(status),
    })
}

/// The processes of a build. Dropping it kills them.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(id.cast_signed())))
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // It may be gone already.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// Waits until a process has ended, and leaves it to be waited for: its number stays its own.
async fn exited(child: &Child, ended: &mut SignalStream) -> Result<()> {
    let Some(id) = child.id().and_then(|id| Pid::from_raw(id.cast_signed())) else { return Ok(()) };
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    loop {
        if waitid(WaitId::Pid(id), look).context("looking at the build")?.is_some() {
            return Ok(());
        }
        ended.recv().await;
    }
}

/// A line of Cargo's JSON; the fields that matter here.
#[derive(Deserialize)]
struct CargoMessage {
    reason: String,
    manifest_path: Option<PathBuf>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// The component that Cargo says it has made of the package with this manifest.
async fn component_of(pipe: ChildStdout, manifest: PathBuf) -> Option<PathBuf> {
    let mut lines = BufReader::new(pipe);
    let (mut line, mut found) = (Vec::new(), None);
    loop {
        line.clear();
        match (&mut lines).take(MAX_LINE).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return found,
            Ok(_) => {}
        }
        // Build scripts print there, too.
        let Ok(message) = serde_json::from_slice::<CargoMessage>(&line) else { continue };
        if message.reason == "compiler-artifact" && message.manifest_path.as_ref() == Some(&manifest) {
            let is_component = |file: &PathBuf| file.extension().is_some_and(|extension| extension == "wasm");
            found = message.filenames.into_iter().find(is_component).or(found);
        }
    }
}
