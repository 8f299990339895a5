//! The system calls that a sandbox process may make once its code is loaded: what wasmtime's runtime, threads and the
//! metered file system need. Everything else is refused with `EPERM`: no socket, no program, no signal to anybody else,
//! no new executable page. Landlock does not ask about the mode, owner or times of a file, so that no call may change
//! them by a path; and no memory may be had that `RLIMIT_DATA` does not count: none that is shared and of no file, and no
//! memory files.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

/// `prctl` that names a thread.
const PR_SET_NAME: u64 = 15;
/// Flags of `clone` that make a process or a namespace rather than a thread.
const NAMESPACES: u64 = (libc::CLONE_NEWNS
    | libc::CLONE_NEWCGROUP
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUSER
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET) as u64;

/// Calls that are allowed whatever their arguments are.
const ALLOWED: &[libc::c_long] = &[
    // Bytes of what is open.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_pwrite64,
    libc::SYS_preadv,
    libc::SYS_pwritev,
    libc::SYS_preadv2,
    libc::SYS_pwritev2,
    libc::SYS_lseek,
    libc::SYS_fsync,
    libc::SYS_fdatasync,
    libc::SYS_sync_file_range,
    libc::SYS_ftruncate,
    libc::SYS_fallocate,
    libc::SYS_fadvise64,
    libc::SYS_close,
    libc::SYS_dup,
    // The channel to the node, which is open. There is no call that opens another.
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    // Files below the folders that landlock leaves.
    libc::SYS_openat,
    libc::SYS_openat2,
    libc::SYS_newfstatat,
    libc::SYS_fstat,
    libc::SYS_statx,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_getdents64,
    libc::SYS_mkdirat,
    libc::SYS_unlinkat,
    libc::SYS_renameat2,
    libc::SYS_renameat,
    libc::SYS_linkat,
    libc::SYS_symlinkat,
    libc::SYS_readlinkat,
    libc::SYS_umask,
    // Memory.
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    // Threads and waiting.
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_nanosleep,
    libc::SYS_clock_nanosleep,
    libc::SYS_restart_syscall,
    libc::SYS_epoll_create1,
    libc::SYS_epoll_ctl,
    libc::SYS_epoll_pwait,
    libc::SYS_eventfd2,
    libc::SYS_ppoll,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // Made into ENOSYS by the filter below, so that the C library falls back on `clone`, whose flags can be seen.
    libc::SYS_clone3,
    // What it is and what time it is.
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_getpid,
    libc::SYS_gettid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_getrusage,
];

/// Older names of the same calls, which some machines have.
#[cfg(target_arch = "x86_64")]
const OLDER: &[libc::c_long] = &[
    libc::SYS_epoll_wait,
    libc::SYS_poll,
    libc::SYS_open,
    libc::SYS_stat,
    libc::SYS_lstat,
    libc::SYS_access,
    libc::SYS_mkdir,
    libc::SYS_rmdir,
    libc::SYS_unlink,
    libc::SYS_rename,
    libc::SYS_link,
    libc::SYS_symlink,
    libc::SYS_readlink,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[libc::c_long] = &[];

/// What `fcntl` may do: flags and copies of descriptors.
const FCNTL: &[libc::c_int] =
    &[libc::F_GETFL, libc::F_SETFL, libc::F_GETFD, libc::F_SETFD, libc::F_DUPFD_CLOEXEC, libc::F_GET_SEALS];

/// The filters, in the order in which they are to be installed.
///
/// # Errors
/// When this processor is none that filters can be made for.
pub(crate) fn filters(own_pid: u32) -> Result<[BpfProgram; 2], BackendError> {
    let no_clone3 = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let no_clone3 = filter(no_clone3, SeccompAction::Errno(libc::ENOSYS as u32), SeccompAction::Allow)?;

    let mut rules: BTreeMap<i64, Vec<SeccompRule>> =
        ALLOWED.iter().chain(OLDER).map(|call| (*call, Vec::new())).collect();
    let executable = libc::PROT_EXEC as u64;
    rules.insert(libc::SYS_mprotect, vec![rule([without(2, executable)?])?]);
    // Shared, or of no file, but not both.
    let mappings = [libc::MAP_SHARED, libc::MAP_ANONYMOUS]
        .map(|flag| rule([without(2, executable)?, without(3, flag as u64)?]));
    rules.insert(libc::SYS_mmap, mappings.into_iter().collect::<Result<_, _>>()?);
    // Of what is open, which has no path here.
    rules.insert(libc::SYS_utimensat, vec![rule([equals(1, 0)?])?]);
    // Threads, and nothing else.
    let thread = libc::CLONE_THREAD as u64;
    let is_thread = condition(0, SeccompCmpOp::MaskedEq(thread | NAMESPACES), thread)?;
    rules.insert(libc::SYS_clone, vec![rule([is_thread])?]);
    rules.insert(libc::SYS_prctl, vec![rule([equals(0, PR_SET_NAME)?])?]);
    // To look at the process's own limits.
    rules.insert(libc::SYS_prlimit64, vec![rule([equals(0, 0)?, equals(2, 0)?])?]);
    // How a process aborts itself.
    let abort = rule([equals(0, u64::from(own_pid))?, equals(2, libc::SIGABRT as u64)?])?;
    rules.insert(libc::SYS_tgkill, vec![abort]);
    let commands: Result<Vec<_>, _> =
        FCNTL.iter().map(|command| rule([equals(1, *command as u64)?])).collect();
    rules.insert(libc::SYS_fcntl, commands?);
    let most = filter(rules, SeccompAction::Allow, SeccompAction::Errno(libc::EPERM as u32))?;
    Ok([no_clone3, most])
}

fn filter(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    matching: SeccompAction,
    other: SeccompAction,
) -> Result<BpfProgram, BackendError> {
    SeccompFilter::new(rules, other, matching, std::env::consts::ARCH.try_into()?)?.try_into()
}

fn rule(conditions: impl IntoIterator<Item = SeccompCondition>) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(conditions.into_iter().collect())
}

fn condition(argument: u8, op: SeccompCmpOp, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Qword, op, value)
}

fn equals(argument: u8, value: u64) -> Result<SeccompCondition, BackendError> {
    condition(argument, SeccompCmpOp::Eq, value)
}

fn without(argument: u8, bits: u64) -> Result<SeccompCondition, BackendError> {
    condition(argument, SeccompCmpOp::MaskedEq(bits), 0)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_can_be_made_for_this_machine_and_have_no_dangerous_call() {
        assert!(filters(1).unwrap().iter().all(|program| !program.is_empty()));
        for call in [
            libc::SYS_socket,
            libc::SYS_connect,
            libc::SYS_execve,
            libc::SYS_ptrace,
            libc::SYS_kill,
            libc::SYS_process_vm_readv,
            libc::SYS_io_uring_setup,
            libc::SYS_mount,
            libc::SYS_unshare,
            libc::SYS_ioctl,
            libc::SYS_pidfd_open,
            libc::SYS_memfd_create,
            libc::SYS_shmget,
            libc::SYS_fchmod,
            libc::SYS_fchmodat,
            libc::SYS_fchownat,
            libc::SYS_setxattr,
        ] {
            assert!(!ALLOWED.contains(&call), "{call}");
        }
    }
}
