//! Programs side by side: so many at a time, each with its output in a file.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::{Cmd, Ending};

/// How often it is said what is still running when nothing ends.
const STILL_RUNNING: Duration = Duration::from_secs(60);

/// A program to run.
pub(super) struct Job {
    /// What a reader calls it.
    pub(super) name: String,
    pub(super) command: Cmd,
    /// Its place in the order; several may have the same.
    pub(super) begins: usize,
}

impl Job {
    pub(super) fn begins(&self) -> usize {
        self.begins
    }

    /// Sets these variables for it.
    pub(super) fn set(&mut self, variables: &[(&str, PathBuf)]) {
        for (name, value) in variables {
            self.command.set_env(name, value);
        }
    }

    /// Has it killed when it takes longer.
    pub(super) fn limit(&mut self, limit: Duration) {
        self.command.set_time_limit(limit);
    }

    /// The name of its output's file.
    fn file(&self) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '_' { c } else { '-' };
        self.name.chars().map(plain).collect::<String>() + ".txt"
    }
}

/// A program that has ended.
pub(super) struct Ended {
    pub(super) job: Job,
    /// Everything that it printed, on both streams in their order.
    pub(super) output: PathBuf,
    pub(super) took: Duration,
    /// Whether it said that all is well, if it said anything in its time.
    pub(super) how: Ending,
}

/// Runs the programs, `at_once` at a time and in their order, and hands on each when it has ended. Output goes to files in
/// `folder`.
///
/// # Errors
/// If the folder can't be written, a program can't be started, or `ended` fails.
pub(super) fn run(
    jobs: Vec<Job>,
    at_once: usize,
    folder: &Path,
    mut ended: impl FnMut(Ended) -> Result<()>,
) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("make the folder {}", folder.display()))?;
    let all = jobs.len();
    let waiting = Mutex::new(jobs.into_iter());
    let running = Mutex::new(Vec::<(String, Instant)>::new());
    let (ends, ending) = channel();
    thread::scope(|scope| {
        for _ in 0..at_once.min(all) {
            let ends = ends.clone();
            let (waiting, running) = (&waiting, &running);
            scope.spawn(move || {
                loop {
                    let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).next();
                    let Some(job) = next else { return };
                    let name = job.name.clone();
                    let began = Instant::now();
                    running.lock().unwrap_or_else(PoisonError::into_inner).push((name.clone(), began));
                    let end = run_one(job, folder, began);
                    running
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .retain(|(other, _)| *other != name);
                    // Nobody listens any more after an error: what else is there need not be run.
                    if ends.send(end).is_err() {
                        return;
                    }
                }
            });
        }
        // The threads have the others: the channel ends with the last of them.
        drop(ends);
        let mut done = 0;
        loop {
            match ending.recv_timeout(STILL_RUNNING) {
                Ok(end) => {
                    done += 1;
                    ended(end?)?;
                }
                Err(RecvTimeoutError::Timeout) => {
                    let running = running.lock().unwrap_or_else(PoisonError::into_inner);
                    eprintln!("   {done} of {all} have ended; running: {}", list(&running));
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        if done < all {
            bail!("only {done} of {all} test programs were run");
        }
        Ok(())
    })
}

fn run_one(job: Job, folder: &Path, began: Instant) -> Result<Ended> {
    let output = folder.join(job.file());
    let how = job.command.run_into(&output).with_context(|| format!("run {}", job.name))?;
    Ok(Ended { job, output, took: began.elapsed(), how })
}

/// What is running, and for how long.
fn list(running: &[(String, Instant)]) -> String {
    let texts = running.iter().map(|(name, began)| format!("{name} ({} s)", began.elapsed().as_secs()));
    texts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    fn job(name: &str, script: &str) -> Job {
        Job { name: name.to_owned(), command: Cmd::new("sh").args(["-c", script]), begins: 0 }
    }

    fn run_all(jobs: Vec<Job>, at_once: usize) -> Vec<(String, bool, String)> {
        let folder = tempfile::tempdir().unwrap();
        let mut all = Vec::new();
        let ended = |ended: Ended| {
            all.push((ended.job.name, ended.how == Ending::Success, fs::read_to_string(ended.output)?));
            Ok(())
        };
        run(jobs, at_once, folder.path(), ended).unwrap();
        all
    }

    #[test]
    fn what_each_prints_stays_together_on_both_streams() {
        let jobs = ["one", "two/x: y"].map(|name| {
            job(name, &format!("for i in 1 2 3; do echo {name} $i; sleep 0.02; echo {name} e$i >&2; done"))
        });
        let mut all = run_all(jobs.into(), 2);
        all.sort();
        for (name, ok, output) in all {
            let want: String = (1..4).map(|i| format!("{name} {i}\n{name} e{i}\n")).collect();
            assert!(ok);
            assert_eq!(output, want);
        }
    }

    #[test]
    fn so_many_run_at_a_time_and_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let marks = folder.path().display();
        // Each counts those that run beside it.
        let script = format!("touch {marks}/$$; sleep 0.2; ls {marks} | wc -l; rm {marks}/$$");
        let all = run_all((0..6).map(|number| job(&number.to_string(), &script)).collect(), 3);
        let most = all.iter().map(|(_, _, output)| output.trim().parse::<usize>().unwrap()).max();
        assert_eq!((all.len(), most), (6, Some(3)));
    }

    #[test]
    fn a_failure_stops_none_of_the_others_and_is_told() {
        let all = run_all(vec![job("bad", "echo why; exit 3"), job("good", "true")], 1);
        assert_eq!(all[0], ("bad".to_owned(), false, "why\n".to_owned()));
        assert_eq!(all[1], ("good".to_owned(), true, String::new()));
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let missing = Job { name: "x".to_owned(), command: Cmd::new("no-such-program"), begins: 0 };
        let error = run(vec![missing], 2, folder.path(), |_| Ok(())).unwrap_err();
        assert!(format!("{error:#}").contains("run x: "), "{error:#}");
    }
}
