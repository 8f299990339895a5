//! What is shown of a run while it goes on, and of what it took when it has ended.

use std::time::{Duration, Instant};

use posemesh_plugin_host::manifest::Limit;
use posemesh_runner_api::reports::{Reports, StopReason};
use posemesh_runner_cases::files::BytesRead;
use posemesh_text::escaped;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::spawn_blocking;

use super::printed::Printed;
use crate::output::tell;
use crate::progress::Progress;

/// Time between two looks at the run.
const INTERVAL: Duration = Duration::from_millis(100);

/// What a run took.
pub(super) struct Took {
    began: Instant,
    wall: Duration,
    cpu: Option<Duration>,
    peak_memory: Option<u64>,
}

impl Took {
    fn begin() -> Self {
        Self { began: Instant::now(), wall: Duration::ZERO, cpu: None, peak_memory: None }
    }

    /// Takes over what the host has measured so far.
    fn look(&mut self, reports: &Reports) {
        self.wall = self.began.elapsed();
        for used in reports.usage() {
            if used.limit == Limit::CpuTimeMs.as_str() {
                self.cpu = Some(Duration::from_millis(used.used));
            } else if used.limit == Limit::MemoryBytes.as_str() {
                self.peak_memory = self.peak_memory.max(Some(used.used));
            }
        }
    }

    /// One line for people; with the bytes and the number of the artifacts, where they are known.
    pub(super) fn tell(&self, how: &str, read: &BytesRead, written: Option<(u64, usize)>) {
        let cpu = self.cpu.map(|cpu| format!(", {cpu:.2?} of it on the processor")).unwrap_or_default();
        let memory =
            self.peak_memory.map(|bytes| format!(", peak memory {}", amount(bytes))).unwrap_or_default();
        let written = written.map(|(bytes, artifacts)| {
            let noun = if artifacts == 1 { "artifact" } else { "artifacts" };
            format!(", {} written in {artifacts} {noun}", amount(bytes))
        });
        let (read, written) = (amount(read.get()), written.unwrap_or_default());
        tell!("{how} in {:.2?}{cpu}{memory}, {read} read{written}", self.wall);
    }
}

/// Bytes to three digits or so: people look at the size of it.
pub(super) fn amount(bytes: u64) -> String {
    const UNITS: [(&str, u32); 3] = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    match UNITS.iter().find(|(_, shift)| bytes >> shift > 0) {
        Some((unit, shift)) => format!("{:.1} {unit}", bytes as f64 / (1_u64 << shift) as f64),
        None => format!("{bytes} bytes"),
    }
}

/// Shows what a runner prints, its events and its progress until it ends. Ctrl-C and SIGTERM ask it to stop, so that what it
/// has begun is cleaned up as in the node.
pub(super) async fn show_until_end<T>(
    label: &str,
    running: impl Future<Output = T>,
    reports: &Reports,
    printed: Printed,
) -> (T, Took) {
    let mut progress = Progress::new(label);
    let mut interval = tokio::time::interval(INTERVAL);
    let (mut took, mut printed) = (Took::begin(), Some(printed));
    tokio::pin!(running);
    let mut terminated = signal(SignalKind::terminate()).ok();
    loop {
        tokio::select! {
            result = &mut running => {
                took.look(reports);
                show_lines(&mut printed, &progress).await;
                progress.show_text(&reports.latest_progress());
                progress.finish();
                return (result, took);
            }
            _ = interval.tick() => {
                took.look(reports);
                show_lines(&mut printed, &progress).await;
                progress.show_text(&reports.latest_progress());
            }
            Ok(()) = tokio::signal::ctrl_c() => reports.stop(StopReason::Cancelled),
            () = heard(&mut terminated) => reports.stop(StopReason::Cancelled),
        }
    }
}

/// Shows the lines that came; nothing more once they can't be read.
async fn show_lines(printed: &mut Option<Printed>, progress: &Progress) {
    let Some(mut at) = printed.take() else { return };
    let read = spawn_blocking(move || at.new_lines().map(|lines| (at, lines))).await;
    match read {
        Ok(Ok((at, lines))) => {
            *printed = Some(at);
            lines.iter().for_each(|line| progress.line(line));
        }
        Ok(Err(error)) => tell!("what the runner prints can't be read: {error}"),
        Err(error) => tell!("what the runner prints can't be read: {}", escaped(&error.to_string())),
    }
}

/// Waits for a signal; for ever where it can't be listened to.
async fn heard(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => drop(signal.recv().await),
        None => std::future::pending().await,
    }
}
