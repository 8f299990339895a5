//! What the kernel holds a sandbox process to, whoever has taken it over. Each of these can only be made stricter
//! afterwards, and all are in force before a guest's first instruction.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, PathBeneath, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetStatus, Scope,
};
use posemesh_runner_api::threads::left_to_the_node;
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, getppid, getrlimit, set_dumpable_behavior,
    set_parent_process_death_signal, setrlimit,
};

use crate::sandbox::syscalls::filters;

/// The newest rules that are asked for. A kernel that has fewer gives those that it has, which is reported.
const LANDLOCK: ABI = ABI::V6;

/// Takes what no process of the kind needs to give back: it ends with its node, leaves no core dump, and nobody of the same
/// user can look into it.
///
/// # Errors
/// When the system refuses, or the node is gone already.
pub(crate) fn begin(node: u32) -> io::Result<()> {
    close_what_was_inherited()?;
    outlive_signals()?;
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The node may have ended before the line above: then nobody would ever tell.
    if getppid().is_none_or(|parent| parent.as_raw_nonzero().get().unsigned_abs() != node) {
        return Err(io::Error::other("the node is gone"));
    }
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    leave_threads()?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// Signals that ask a node to stop, and that a terminal or a supervisor sends to all of its processes: what becomes of the
/// tasks is the node's to say. The process ends with its channel, and by SIGKILL.
fn outlive_signals() -> io::Result<()> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
    for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2] {
        // A handler that does nothing of note, since there is no safe way to have a signal ignored.
        signal_hook::flag::register(signal, Arc::default())?;
    }
    Ok(())
}

/// Leaves threads of the user to the node, whatever this process starts: without, a process that starts them without end
/// takes them from whoever else is of the user. The kernel asks for the limit when it starts one, and for no limit of
/// root's.
fn leave_threads() -> io::Result<()> {
    let most = getrlimit(Resource::Nproc).current.or_else(machine_threads);
    let Some(most) = most.map(|most| most - left_to_the_node(most)) else { return Ok(()) };
    Ok(setrlimit(Resource::Nproc, Rlimit { current: Some(most), maximum: Some(most) })?)
}

/// How many threads the machine may have.
fn machine_threads() -> Option<u64> {
    std::fs::read_to_string("/proc/sys/kernel/threads-max").ok()?.trim().parse().ok()
}

/// Closes all but the three standard descriptors. The node's own are not inherited, but what its parent has left open may
/// be: a socket, a log, a terminal.
#[allow(unsafe_code, reason = "there is no safe call for it; see below")]
fn close_what_was_inherited() -> io::Result<()> {
    // SAFETY: it is the first thing that the process does. Nothing of it owns a descriptor beyond these three yet.
    let closed = unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
    let error = io::Error::last_os_error();
    // Linux has it since 5.9.
    if closed == 0 || error.raw_os_error() == Some(libc::ENOSYS) { Ok(()) } else { Err(error) }
}

/// Closes all locks; those that this kernel does not have, in words. Holds for the calling thread and those that it starts.
pub(crate) fn lock(own: &OwnedFd, granted: &[OwnedFd]) -> Vec<String> {
    let files = lock_files(own, granted).err();
    // Last: what the others need is not among the system calls that are left.
    files.into_iter().chain(lock_calls().err()).collect()
}

/// Leaves the process these folders and nothing else of the file system, no TCP, and no signal to anybody else. Holds for
/// the calling thread and those that it starts.
///
/// # Errors
/// What is not held, in words.
fn lock_files(own: &OwnedFd, granted: &[OwnedFd]) -> Result<(), String> {
    let failed = |error: landlock::RulesetError| format!("landlock: {error}");
    let read: BitFlags<AccessFs> = AccessFs::ReadFile | AccessFs::ReadDir;
    let write = AccessFs::from_all(LANDLOCK)
        & !(AccessFs::Execute
            | AccessFs::IoctlDev
            | AccessFs::MakeChar
            | AccessFs::MakeBlock
            | AccessFs::MakeFifo
            | AccessFs::MakeSock);
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(LANDLOCK))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(LANDLOCK)))
        .and_then(|rules| rules.scope(Scope::from_all(LANDLOCK)))
        .and_then(Ruleset::create)
        .and_then(|rules| rules.add_rule(PathBeneath::new(own, write)))
        .map_err(failed)?;
    for folder in granted {
        rules = rules.add_rule(PathBeneath::new(folder, read)).map_err(failed)?;
    }
    match rules.restrict_self().map_err(failed)?.ruleset {
        RulesetStatus::FullyEnforced => Ok(()),
        RulesetStatus::PartiallyEnforced => {
            Err("landlock: this kernel holds files, but not network or signals (Linux 6.12 does)".to_owned())
        }
        RulesetStatus::NotEnforced => {
            Err("landlock: this kernel has none or it is off (Linux 5.13 and lsm=landlock have it)"
                .to_owned())
        }
    }
}

/// Leaves the process the system calls of `syscalls`. Holds for the calling thread and those that it starts.
///
/// # Errors
/// What is not held, in words.
fn lock_calls() -> Result<(), String> {
    let programs = filters(std::process::id()).map_err(|error| format!("seccomp: {error}"))?;
    for program in &programs {
        seccompiler::apply_filter(program).map_err(|error| format!("seccomp: {error}"))?;
    }
    Ok(())
}
