//! How the node takes work and keeps its leases alive.

use std::time::Duration;

use super::reader::SettingsReader;
use super::variable::{Group, ValueType, Variable};
use crate::heartbeat::HeartbeatPolicy;
use crate::worker::WorkerSettings;
use posemesh_text::ByteSize;

/// When leases are renewed.
pub(super) fn read_heartbeat(reader: &mut SettingsReader<'_>) -> HeartbeatPolicy {
    let default = HeartbeatPolicy::default();
    let min = Variable::new(
        Group::Work,
        "HEARTBEAT_MIN_RATIO",
        "The smallest part of a lease's TTL after which the next heartbeat is due; the moment is drawn between \
         this and `HEARTBEAT_MAX_RATIO`, and after 30 s at the latest. The two may be given in either order.",
    )
    .section("4.2");
    let max = Variable::new(
        Group::Work,
        "HEARTBEAT_MAX_RATIO",
        "The largest part of a lease's TTL after which the next heartbeat is due.",
    )
    .section("4.2");
    let jitter = Variable::new(
        Group::Work,
        "HEARTBEAT_JITTER_MS",
        "How long progress and events are gathered before a heartbeat sends them: half of this to all of it, in \
         milliseconds.",
    )
    .section("4.3");
    let min_ratio = reader.ratio(&min, default.min_ratio);
    let max_ratio = reader.ratio(&max, default.max_ratio);
    let jitter = reader.millis(&jitter, default.jitter, 0..=60_000);
    let [min_ratio, max_ratio] = reader.in_order(&min, &max, [min_ratio, max_ratio]);
    HeartbeatPolicy { min_ratio, max_ratio, jitter }
}

/// The shortest and the longest wait between two requests for work.
pub(super) fn read_poll(reader: &mut SettingsReader<'_>) -> [Duration; 2] {
    let default = WorkerSettings::default();
    let shortest = Variable::new(
        Group::Work,
        "POLL_BACKOFF_MS_MIN",
        "The shortest wait between two requests for work, in milliseconds. This and `POLL_BACKOFF_MS_MAX` may be \
         given in either order.",
    )
    .section("4.1");
    let longest = Variable::new(
        Group::Work,
        "POLL_BACKOFF_MS_MAX",
        "The longest wait between two requests for work, in milliseconds: reached when there is none, or while \
         DMS fails.",
    )
    .section("4.1");
    let min = reader.millis(&shortest, default.poll_backoff_min, 1..=3_600_000);
    let max = reader.millis(&longest, default.poll_backoff_max, 1..=3_600_000);
    reader.in_order(&shortest, &longest, [min, max])
}

pub(super) fn read_max_concurrency(reader: &mut SettingsReader<'_>) -> usize {
    reader.integer(
        &Variable::new(Group::Work, "MAX_CONCURRENCY", "How many leases are worked on at the same time.")
            .section("4.1"),
        WorkerSettings::default().max_concurrency,
        1..=4096,
    )
}

/// The memory that all tasks may use together; none to go by the machine.
pub(super) fn read_memory_budget(reader: &mut SettingsReader<'_>) -> Option<u64> {
    const LEAST: ByteSize = ByteSize(64 << 20);
    const MOST: ByteSize = ByteSize(1 << 48);
    let variable = Variable::new(
        Group::Work,
        "MEMORY_BUDGET",
        "The memory that all tasks may use together. No lease is asked for unless what the next task may use \
         (`memory_bytes` of its runner and 48 MiB) is left of it; no runner gets more. Without it: nine tenths of the \
         memory of the machine or of the container, and at least 128 MiB less than all.",
    )
    .of_type(ValueType::Bytes);
    let allowed = format!("{LEAST} to {MOST}");
    let budget = reader.optional(&variable, "by the machine", &allowed, |text| {
        let size: ByteSize = text.parse().map_err(|error| format!("{error}; allowed: {allowed}"))?;
        let fits = (LEAST.0..=MOST.0).contains(&size.0);
        fits.then_some(size).ok_or_else(|| format!("out of range; allowed: {allowed}"))
    });
    budget.map(|size| size.0)
}

pub(super) fn read_start_splay(reader: &mut SettingsReader<'_>) -> Duration {
    reader.seconds(
        &Variable::new(
            Group::Work,
            "START_SPLAY_SECS",
            "The node waits for a random time of up to this, in seconds, before it registers, so that many nodes that are \
             started at once do not all ask DDS at the same moment.",
        ),
        Duration::ZERO,
        0..=3600,
    )
}

pub(super) fn read_shutdown_grace(reader: &mut SettingsReader<'_>) -> Duration {
    reader.seconds(
        &Variable::new(
            Group::Work,
            "SHUTDOWN_GRACE_SECS",
            "How long the node may take to end after the first SIGTERM or SIGINT, in seconds, all in all. Running \
             tasks go on for most of it; what has not ended 10 s before (with less than 25 s: two fifths before) is \
             reported as failed, so that another node can take it. Less than 2 counts as 2. Set it some seconds below \
             what the supervisor allows: 25 fits Kubernetes' 30, 8 fits docker's 10.",
        )
        .section("5.3"),
        WorkerSettings::default().shutdown_grace,
        0..=3600,
    )
}
