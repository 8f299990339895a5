//! Many seeds, on all cores.

use std::io;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use crate::simulation::seed::{SeedReport, run_seed, run_seed_twice};

/// One seed of so many is run twice, to see that it does the same.
const TWICE: u64 = 50;

/// How many seeds went how.
#[derive(Debug, Default)]
pub struct SeedsReport {
    /// Seeds that were run.
    pub seeds: u64,
    /// Calls that their nodes made.
    pub calls: u64,
    /// Leases that were granted.
    pub leases: u64,
    /// Starts of nodes.
    pub starts: u64,
    /// Virtual seconds that were simulated.
    pub virtual_secs: u64,
    /// Seeds that failed, with what did not hold; ascending.
    pub failed: Vec<(u64, SeedReport)>,
}

impl SeedsReport {
    fn add(&mut self, seed: u64, report: SeedReport) {
        self.seeds += 1;
        self.calls += report.calls;
        self.leases += report.leases;
        self.starts += report.starts;
        self.virtual_secs += report.virtual_time.as_secs();
        if !report.violations.is_empty() {
            self.failed.push((seed, report));
        }
    }

    fn merge(&mut self, other: Self) {
        self.seeds += other.seeds;
        self.calls += other.calls;
        self.leases += other.leases;
        self.starts += other.starts;
        self.virtual_secs += other.virtual_secs;
        self.failed.extend(other.failed);
        self.failed.sort_by_key(|(seed, _)| *seed);
    }
}

/// Runs `count` seeds from `from` on, each on one thread, and stops after `most_failures` that failed.
///
/// # Errors
/// When a runtime can't be made.
pub fn run_seeds(from: u64, count: u64, most_failures: usize) -> io::Result<SeedsReport> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let work = || -> io::Result<SeedsReport> {
        let mut report = SeedsReport::default();
        while !stop.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                break;
            }
            let seed = from + number;
            let result = if seed.is_multiple_of(TWICE) {
                run_seed_twice(seed, None)
            } else {
                run_seed(seed, false, None)
            };
            report.add(seed, result?);
            if report.failed.len() >= most_failures {
                stop.store(true, Ordering::Relaxed);
            }
        }
        Ok(report)
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut all = SeedsReport::default();
        for worker in workers {
            let report = worker.join().map_err(|_| io::Error::other("a simulation's thread panicked"))??;
            all.merge(report);
        }
        Ok(all)
    })
}
