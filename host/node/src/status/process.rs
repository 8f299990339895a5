//! The node's own process, as Prometheus' client libraries tell of theirs.

use std::fs;

use rustix::process::{Resource, getrlimit};

/// The process at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ProcessView {
    pub(super) cpu_seconds: f64,
    pub(super) open_fds: u64,
    /// None if nothing limits them.
    pub(super) max_fds: Option<u64>,
    pub(super) threads: u64,
    pub(super) resident_bytes: u64,
    pub(super) virtual_bytes: u64,
    /// In Unix time.
    pub(super) started: f64,
}

/// Reads small files of the kernel; none if it has none of them. Blocks.
pub(super) fn look() -> Option<ProcessView> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let booted = fs::read_to_string("/proc/stat").ok()?;
    let fds = fs::read_dir("/proc/self/fd").ok()?.count() as u64;
    let max_fds = getrlimit(Resource::Nofile).current;
    let ticks = rustix::param::clock_ticks_per_second() as f64;
    // One of them is the listing itself.
    read(&stat, &booted, ticks, rustix::param::page_size() as u64).map(|view| ProcessView {
        open_fds: fds.saturating_sub(1),
        max_fds,
        ..view
    })
}

/// `ticks` is how many of the kernel's units of time a second has.
fn read(stat: &str, booted: &str, ticks: f64, page: u64) -> Option<ProcessView> {
    // The second field is the program's name in parentheses, which may hold anything. The third is the first below.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    let booted = booted.lines().find_map(|line| line.strip_prefix("btime ")?.trim().parse::<u64>().ok())?;
    Some(ProcessView {
        cpu_seconds: (field(14)? + field(15)?) as f64 / ticks,
        open_fds: 0,
        max_fds: None,
        threads: field(20)?,
        started: booted as f64 + field(22)? as f64 / ticks,
        virtual_bytes: field(23)?,
        resident_bytes: field(24)? * page,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_program_moves_no_field() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 1 0 0 0 150 50 9 9 20 0 12 0 3000 1048576 256 18446744073709551615 1";
        let view = read(stat, "cpu 1 2\nbtime 1000\n", 100.0, 4096).unwrap();
        assert_eq!((view.cpu_seconds, view.threads, view.started), (2.0, 12, 1030.0));
        assert_eq!((view.virtual_bytes, view.resident_bytes), (1 << 20, 1 << 20));
    }

    #[test]
    fn this_process_has_something_of_everything() {
        let view = look().unwrap();
        assert!(view.open_fds > 2 && view.threads > 0 && view.resident_bytes > 0, "{view:?}");
        assert!(view.started > 1e9 && view.virtual_bytes > view.resident_bytes, "{view:?}");
    }
}
