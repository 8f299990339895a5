//! The machine: file systems, and the node's own process.

use tokio::task::spawn_blocking;

use super::catalog::{
    CACHE_BYTES, CACHE_FILES, FREE_BYTES, FREE_INODES, MEMORY_BUDGET, PROCESS_CPU, PROCESS_FDS,
    PROCESS_MAX_FDS, PROCESS_RESIDENT, PROCESS_START, PROCESS_THREADS, PROCESS_VIRTUAL,
};
use super::text::MetricsText;
use crate::status::folders::{FoldersView, WatchedFolders};
use crate::status::process::{self, ProcessView};

/// The machine at one moment: what answered.
#[derive(Debug)]
pub(super) struct MachineView {
    folders: Option<FoldersView>,
    process: Option<ProcessView>,
}

pub(super) async fn look(folders: &WatchedFolders) -> MachineView {
    let (folders, process) = tokio::join!(folders.look(), spawn_blocking(process::look));
    MachineView { folders, process: process.ok().flatten() }
}

pub(super) fn write(out: &mut MetricsText, machine: &MachineView, memory_budget: u64) {
    if let Some(folders) = &machine.folders {
        out.family(&FREE_BYTES, folders.free.iter().map(|(folder, bytes, _)| ([*folder], *bytes)));
        let inodes = folders.free.iter().filter_map(|(folder, _, inodes)| Some(([*folder], (*inodes)?)));
        out.family(&FREE_INODES, inodes);
        let (files, bytes) = folders.cache;
        out.one(&CACHE_BYTES, bytes);
        out.one(&CACHE_FILES, files);
    }
    out.one(&MEMORY_BUDGET, memory_budget);
    let Some(process) = &machine.process else { return };
    out.one(&PROCESS_CPU, process.cpu_seconds);
    out.one(&PROCESS_FDS, process.open_fds);
    out.one(&PROCESS_MAX_FDS, process.max_fds.map_or(f64::INFINITY, |fds| fds as f64));
    out.one(&PROCESS_THREADS, process.threads);
    out.one(&PROCESS_RESIDENT, process.resident_bytes);
    out.one(&PROCESS_VIRTUAL, process.virtual_bytes);
    out.one(&PROCESS_START, process.started);
}
