//! Every metric, once: its name, its labels and what it means. What is written and what is documented both come from here.

use std::fmt::Write as _;

use crate::admission::Cause;
use crate::status::reason::NodeReason;

/// What kind of metric it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only grows, until the node is started again.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Observations by size.
    Histogram,
}

impl Kind {
    /// The word of both text formats.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// One metric.
#[derive(Debug)]
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) labels: &'static [&'static str],
    /// One line, for people.
    pub(super) help: &'static str,
}

/// One table makes the constants and the list of all, so that a metric that is written is documented as well.
macro_rules! catalog {
    ($($group:literal { $($constant:ident $kind:ident $name:literal [$($label:literal),*] $help:literal;)+ })+) => {
        $($(pub(super) const $constant: Metric =
            Metric { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help };)+)+

        /// Every metric, by group.
        const GROUPS: &[(&str, &[Metric])] = &[$(($group, &[$($constant),+])),+];
    };
}

catalog! {
    "The node" {
        BUILD_INFO Gauge "posemesh_node_build_info" ["version", "commit", "arch"]
            "1, with what this program was built from";
        READY Gauge "posemesh_node_ready" [] "1 when the node can take work";
        NOT_READY Gauge "posemesh_node_not_ready" ["reason"] "1 for each reason why the node can't take work";
        LEASING_PAUSED Gauge "posemesh_node_leasing_paused" ["cause"]
            "1 for each cause in the node, its machine or its servers that keeps it from taking leases; not for an operator's pause";
        DRAINING Gauge "posemesh_node_draining" []
            "1 while the node takes no new lease because it was told so, by a drain or a pause";
        REGISTERED Gauge "posemesh_node_registered" [] "1 when DDS knows the node";
        STATUS_CONNECTIONS Gauge "posemesh_node_status_connections" []
            "Open connections to the node's own HTTP servers";
        LOG_LINES_DROPPED Counter "posemesh_node_log_lines_dropped_total" [] "Log lines that could not be written";
        HISTORY_LOST Counter "posemesh_node_history_entries_lost_total" []
            "Leases and changes of runners that could not be written to the history";
        HISTORY_FAILING Gauge "posemesh_node_history_failing" []
            "Whether the history can't be written to now (1) or can, or none is kept (0)";
        AUDIT_LINES_LOST Counter "posemesh_node_audit_lines_lost_total" []
            "Lines of the audit log that could not be written";
    }
    "Tasks" {
        SLOTS Gauge "posemesh_node_slots" [] "Leases that the node works on at once at most";
        TASKS_RUNNING Gauge "posemesh_node_tasks_running" [] "Leases that are worked on";
        POLLS Counter "posemesh_node_polls_total" ["result"] "Requests for work by what came of them";
        LAST_POLL Gauge "posemesh_node_last_poll_success_timestamp_seconds" []
            "When the job server last answered a request for work, in Unix time; 0 before the first answer";
        LEASES Counter "posemesh_node_leases_total" [] "Leases taken";
        TASKS_ENDED Counter "posemesh_node_tasks_ended_total" ["ending"] "Leases by how they ended";
        TASK_DURATION Histogram "posemesh_node_task_duration_seconds" ["ending"]
            "Time from a lease to its end, by how it ended";
        TASK_FAILURES Counter "posemesh_node_task_failures_total" ["kind", "blame"]
            "Failed tasks by the kind of the failure and whose fault it was";
        LIMIT_HITS Counter "posemesh_node_limit_hits_total" ["limit"] "Runs that ended by a limit of their runner";
        STUCK_RUNS Counter "posemesh_node_stuck_runs_total" [] "Runs whose runner could not be ended";
        STUCK_RUNNERS Gauge "posemesh_node_stuck_runners" []
            "Runners that could not be ended and hold a thread";
        HEARTBEATS Counter "posemesh_node_heartbeats_total" ["result"] "Heartbeats by what came of them";
        HEARTBEAT_MARGIN Histogram "posemesh_node_heartbeat_margin_seconds" []
            "What was left of the lease when a heartbeat was accepted";
    }
    "Servers" {
        REQUESTS Counter "posemesh_node_requests_total" ["peer", "result"]
            "Requests by the server's kind and the status of the answer, or why there was none";
        REQUEST_DURATION Histogram "posemesh_node_request_duration_seconds" ["peer"]
            "Time from a request to the head of its answer";
        RETRIES Counter "posemesh_node_request_retries_total" ["peer"] "Requests made again after a failure";
        CLOCK_SKEW Gauge "posemesh_node_clock_skew_seconds" ["peer"]
            "By how much the server's clock was ahead of the node's at its last answer, to the second; of several servers the one that is furthest off in an hour";
        DOMAIN_RECEIVED Counter "posemesh_node_domain_received_bytes_total" [] "Bytes from domain servers";
        DOMAIN_SENT Counter "posemesh_node_domain_sent_bytes_total" [] "Bytes to domain servers";
        REGISTRATIONS Counter "posemesh_node_registrations_total" ["result"]
            "Registrations with DDS by what came of them";
        LOGINS Counter "posemesh_node_logins_total" ["result"] "Logins with DDS by what came of them";
        TOKEN_EXPIRY Gauge "posemesh_node_token_expiry_timestamp_seconds" []
            "When the machine token ends, in Unix time; 0 without a valid one";
    }
    "Runners" {
        RUNNER_RUNS Counter "posemesh_node_runner_runs_total" ["runner", "result"]
            "Ended runs: completed, failed by the runner's fault, or failed by another's, over all generations";
        RUNNER_FAILURES Counter "posemesh_node_runner_failures_total" ["runner", "blame"]
            "Failed runs by whose fault they were";
        RUNNER_RUNNING Gauge "posemesh_node_runner_running" ["runner"] "Runs that go on";
        RUNNER_CPU Counter "posemesh_node_runner_cpu_seconds_total" ["runner"]
            "Time on the processor that guests took";
        RUNNER_MEMORY Gauge "posemesh_node_runner_memory_bytes" ["runner"]
            "Memory that the runner's running tasks have";
        RUNNER_LARGEST Gauge "posemesh_node_runner_largest_task_memory_bytes" ["runner"]
            "The most memory that a task of the runner has had since the node started";
        RUNNER_BREAKER Gauge "posemesh_node_runner_breaker_state" ["runner", "state"]
            "1 for the state of the runner's circuit breaker, 0 for the others";
        RUNNER_CANARY Gauge "posemesh_node_runner_canary_share" ["runner"]
            "The share of the tasks that a new generation on trial gets; 0 without one";
        RUNNER_STAGES Counter "posemesh_node_runner_stages_total" ["stage"]
            "How often a generation reached a stage";
        RUNNER_GENERATIONS Gauge "posemesh_node_runner_generations" ["stage"]
            "Generations by where they stand";
        COMPILE_DURATION Histogram "posemesh_node_compile_duration_seconds" ["result"]
            "Time that compiling a component took";
    }
    "The machine" {
        FREE_BYTES Gauge "posemesh_node_file_system_free_bytes" ["folder"]
            "Bytes that are free in the file system of WORK_DIR and of CACHE_DIR";
        FREE_INODES Gauge "posemesh_node_file_system_free_inodes" ["folder"]
            "Inodes that are free there; without a value where the file system makes them as needed";
        CACHE_BYTES Gauge "posemesh_node_cache_bytes" [] "Bytes of compiled runners in CACHE_DIR";
        CACHE_FILES Gauge "posemesh_node_cache_files" [] "Files in CACHE_DIR";
        MEMORY_BUDGET Gauge "posemesh_node_memory_budget_bytes" []
            "Memory that all tasks may use together";
        PROCESS_CPU Counter "process_cpu_seconds_total" []
            "Time on the processor of the node's own process, without its sandboxes";
        PROCESS_FDS Gauge "process_open_fds" [] "Open file descriptors";
        PROCESS_MAX_FDS Gauge "process_max_fds" [] "File descriptors that the process may open";
        PROCESS_THREADS Gauge "process_threads" [] "Threads of the process";
        PROCESS_RESIDENT Gauge "process_resident_memory_bytes" [] "Memory of the process that is in RAM";
        PROCESS_VIRTUAL Gauge "process_virtual_memory_bytes" [] "Address space of the process";
        PROCESS_START Gauge "process_start_time_seconds" [] "When the process was started, in Unix time";
    }
}

const INTRODUCTION: &str = "\
# Metrics

<!-- Generated from host/node/src/status/metrics/catalog.rs by `cargo xtask docs`. Do not edit. -->

`GET /metrics` on `STATUS_ADDR`, in the text format of Prometheus (0.0.4) or, for those who ask by `Accept`, of OpenMetrics
(1.0.0). Times are in seconds, sizes in bytes. Counters grow until the node is started again: a runner's do not fall when a
generation is swapped or the runner goes. Labels are words of the node's own and at most 64 names of runners; further ones are
`other`. Alert rules and a dashboard are in [deploy/prometheus](../deploy/prometheus) and [deploy/grafana](../deploy/grafana).

Labels: `blame` is `task`, `runner`, `host` or `server`; `kind` a failure's kind as in `fail.details` (protocol 3.6) or
`setup_failed`; `ending` is `completed`, `failed`, `cancelled` or `lost`; `peer` is `dds`, `dms` or `domain_server`; `result` of
a request is its status (`503`), the class of a rare one (`4xx`), `no_connection` or `no_answer`; `folder` is `work` or `cache`.
";

/// What keeps a node from work, in the words of the labels.
fn reasons() -> String {
    let words = |words: &[&str]| words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    format!(
        "\n`cause` is one of {}; `reason` one of these or of {}. A pause that an operator asked for is the reason `paused`, and no \
         cause.\n",
        words(&Cause::ALL.map(Cause::as_str)),
        words(&NodeReason::ALL.map(NodeReason::as_str)),
    )
}

/// Every metric with its type, its labels and its meaning: the Markdown of docs/metrics.md.
pub fn reference() -> String {
    let mut text = INTRODUCTION.to_owned() + &reasons();
    for (group, metrics) in GROUPS {
        // Writing to a string does not fail.
        let _ =
            write!(text, "\n## {group}\n\n| Metric | Type | Labels | Meaning |\n| --- | --- | --- | --- |\n");
        for Metric { name, kind, labels, help } in *metrics {
            let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
            let _ = writeln!(text, "| `{name}` | {} | {} | {help} |", kind.as_str(), labels.join(", "));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions() {
        let mut names = std::collections::BTreeSet::new();
        for Metric { name, kind, labels, help } in GROUPS.iter().flat_map(|(_, metrics)| *metrics) {
            assert!(names.insert(*name), "{name} is there twice");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            assert!(name.starts_with("posemesh_node_") || name.starts_with("process_"), "{name}");
            let words = name.chars().all(|char| char.is_ascii_lowercase() || char == '_');
            assert!(words && !name.ends_with("_ms") && !name.ends_with("_count"), "{name}");
            assert!(
                !labels.contains(&"le") && !help.ends_with('.') && !help.contains('\n'),
                "{name}: {help}"
            );
        }
    }
}
