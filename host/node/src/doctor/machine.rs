//! What the machine or the container has, against what `MAX_CONCURRENCY` tasks need; and what its kernel has to hold runners.

use posemesh_plugin_host::sandbox::{self, SandboxMode};
use rustix::process::{Resource, getrlimit};
use tokio::task::spawn_blocking;

use super::finding::{Area, Finding, Report};
use crate::admission::{TASK_DESCRIPTORS, TASK_THREADS, available_memory, total_memory};
use crate::config::Config;
use crate::threads::{cure, startable};

/// Descriptors of the node itself: its servers' connections, pipes, folders and logs.
const OWN_DESCRIPTORS: u64 = 128;
/// Threads of the node itself.
const OWN_THREADS: u64 = 16;
/// No more threads are tried: a machine that has so many has more.
const MOST_TRIED: u64 = 512;

pub(super) async fn examine(config: &Config, report: Report<'_>) {
    let tasks = config.worker.max_concurrency as u64;
    descriptors(tasks, report);
    let wanted = (tasks * TASK_THREADS + OWN_THREADS).min(MOST_TRIED);
    // Starting threads blocks, and so may the files of the kernel.
    let asked = spawn_blocking(move || {
        let threads = startable(usize::try_from(wanted).unwrap_or(usize::MAX)) as u64;
        (threads, total_memory(), available_memory())
    });
    if let Ok((threads, total, available)) = asked.await {
        let text =
            format!("{threads} more threads can be started, and {tasks} tasks at a time need {wanted}");
        report(match threads < wanted {
            true => Finding::error(
                Area::Machine,
                text,
                format_args!("{}, or lower MAX_CONCURRENCY={tasks}", cure()),
            ),
            false => Finding::ok(
                Area::Machine,
                format_args!("{wanted} threads for {tasks} tasks at a time can be started"),
            ),
        });
        memory(config.memory_budget, total, available, report);
    }
    sandbox(config, report).await;
}

/// The node raises its limit to the most that it may have.
fn descriptors(tasks: u64, report: Report<'_>) {
    let needed = tasks * TASK_DESCRIPTORS + OWN_DESCRIPTORS;
    let most = getrlimit(Resource::Nofile).maximum;
    let shown = most.map_or_else(|| "any number of".to_owned(), |most| most.to_string());
    let text = format!("{shown} files can be open, and {tasks} tasks at a time may need {needed}");
    report(match most {
        Some(most) if most < needed => Finding::error(
            Area::Machine,
            text,
            format_args!(
                "raise the hard limit (`ulimit -Hn`, LimitNOFILE=), or lower MAX_CONCURRENCY={tasks}"
            ),
        ),
        _ => Finding::ok(Area::Machine, text),
    });
}

fn memory(budget: Option<u64>, total: u64, available: u64, report: Report<'_>) {
    let mib = |bytes: u64| bytes >> 20;
    let text = format!("{} MiB of {} MiB of memory are available", mib(available), mib(total));
    report(match budget {
        Some(budget) if budget > total => Finding::error(
            Area::Machine,
            format_args!(
                "MEMORY_BUDGET is {} MiB, and this machine or container has {} MiB: the kernel would end the node",
                mib(budget),
                mib(total)
            ),
            "unset MEMORY_BUDGET to go by the machine, or raise the container's limit (memory.max)",
        ),
        _ => Finding::ok(Area::Machine, text),
    });
}

async fn sandbox(config: &Config, report: Report<'_>) {
    let settings = config.sandbox().clone();
    let mode = settings.mode;
    report(match sandbox::check(settings).await {
        _ if mode == SandboxMode::Off => Finding::warning(
            Area::Sandbox,
            "SANDBOX=off: runners share the node's process, and one that breaks out of wasmtime has the node's key",
            "unset SANDBOX where strangers' runners run",
        ),
        Ok(missing) if missing.is_empty() => {
            Finding::ok(Area::Sandbox, "complete: processes of their own, landlock, seccomp")
        }
        Ok(missing) => Finding::warning(
            Area::Sandbox,
            format_args!("runners are in processes of their own; missing: {}", missing.join("; ")),
            "a newer kernel has it (landlock: 5.13 and later), unless its command line (`lsm=`) leaves it out",
        ),
        // Says what helps.
        Err(error) => Finding::error(Area::Sandbox, error, ""),
    });
}
