//! Runs a program in Valgrind, which counts its instructions.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context as _, Result, anyhow, ensure};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

/// What `prctl` is asked for the auxiliary vector with.
const PR_GET_AUXV: u64 = 0x4155_5856;

/// What a whole run cost, and what it printed.
pub(super) struct Counted {
    pub(super) instructions: u64,
    pub(super) printed: String,
}

/// Copies of the C library that every x86-64 processor has.
const PLAIN_COPIES: &str = "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX512BW,-AVX2,-AVX,-ERMS,-FSRM:\
     glibc.cpu.x86_rep_movsb_threshold=1073741824:glibc.cpu.x86_non_temporal_threshold=1073741824";

/// Runs a program with these arguments.
///
/// # Errors
/// If it fails, or Valgrind can't be run.
pub(super) fn counted(valgrind: &Path, program: &Path, args: &[&str]) -> Result<Counted> {
    let dir = tempfile::tempdir().context("making a folder")?;
    let log = dir.path().join("valgrind.log");
    let mut command = Command::new(valgrind);
    command
        .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"])
        .arg(format!("--log-file={}", log.display()))
        .arg(program)
        .args(args)
        .env("RUST_BACKTRACE", "0")
        // Where a thread finds work of others, it counts, too.
        .env("TOKIO_WORKER_THREADS", "1")
        .env("RAYON_NUM_THREADS", "1")
        // Otherwise the C library copies by what this processor is best at.
        .env("GLIBC_TUNABLES", PLAIN_COPIES);
    let output = without_auxv(command).with_context(|| format!("running {}", valgrind.display()))?;
    let log = std::fs::read_to_string(&log).unwrap_or_default();
    ensure!(
        output.status.success(),
        "{} {}: {}\n{}{log}",
        program.display(),
        args.join(" "),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let count = log
        .lines()
        .filter_map(|line| line.rsplit_once("refs:"))
        .filter(|(before, _)| before.trim_end().ends_with(" I"))
        .find_map(|(_, count)| count.trim().replace(',', "").parse().ok());
    Ok(Counted {
        instructions: count.with_context(|| format!("Valgrind printed no count:\n{log}"))?,
        printed: String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    })
}

/// Runs a command that can't ask the kernel for its auxiliary vector. There it would find the kernel's own functions for
/// clocks, which a program in Valgrind does not have; `rustix` would call them. Files in `/proc`, which it reads then, are
/// made by Valgrind.
fn without_auxv(mut command: Command) -> Result<Output> {
    let filter = filter()?;
    // Of a thread of its own: a filter stays with its thread, and with the processes that it starts.
    let thread = std::thread::spawn(move || {
        seccompiler::apply_filter(&filter).context("installing a filter of system calls")?;
        command.output().context("starting it")
    });
    thread.join().map_err(|_| anyhow!("the thread that starts it panicked"))?
}

fn filter() -> Result<BpfProgram> {
    let asked = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, PR_GET_AUXV)?;
    let rules = BTreeMap::from([(libc::SYS_prctl, vec![SeccompRule::new(vec![asked])?])]);
    #[allow(clippy::cast_sign_loss)]
    let refused = SeccompAction::Errno(libc::EINVAL as u32);
    let arch = std::env::consts::ARCH.try_into()?;
    Ok(SeccompFilter::new(rules, SeccompAction::Allow, refused, arch)?.try_into()?)
}
