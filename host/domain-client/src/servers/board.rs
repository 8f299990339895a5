//! The servers and their troubles as data.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use posemesh_text::one_line;
use tokio::time::Instant;
use uuid::Uuid;

use crate::servers::refusal::Refusal;
use crate::servers::trouble::{ServerTrouble, ServerTroubleKind};

/// Servers that are remembered; a node meets few.
const MAX_SERVERS: usize = 64;
/// A server that no call went to for so long is forgotten.
const FORGET_AFTER: Duration = Duration::from_secs(3600);
/// Tasks in a row whose errors are a server's fault, before it counts as refusing: a single lease may be wrong.
const REFUSED_TASKS: u32 = 3;
/// Tasks of a run that are known by their ids.
const LATEST_TASKS: usize = 16;
/// Kinds of refusals that are counted for one server.
const MAX_REFUSALS: usize = 8;
/// The pause after the first task; it doubles with each further one.
const SHORTEST_PAUSE: Duration = Duration::from_secs(5);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Bytes of an error that are kept.
const TEXT_BYTES: usize = 300;

/// All servers of a node.
#[derive(Debug, Default)]
pub(super) struct Board(HashMap<String, Entry>);

#[derive(Debug)]
struct Entry {
    used: Instant,
    /// Calls that wait for their next try.
    waiting: usize,
    away: Option<Run>,
    refusing: Option<Run>,
    /// Refusals that may be the tasks' own, and how many tasks in a row got each.
    alike: Vec<(Refusal, Run)>,
}

/// Failures in a row.
#[derive(Debug)]
struct Run {
    since: Instant,
    last: Instant,
    tasks: u32,
    /// The latest of them: a task that is tried again is no other task.
    latest: VecDeque<Uuid>,
    text: String,
}

impl Run {
    /// Counts a failure; returns whether it is news.
    fn count(run: &mut Option<Self>, task: Uuid, text: &str, now: Instant) -> bool {
        let text = one_line(text, TEXT_BYTES);
        let Some(run) = run else {
            *run = Some(Self { since: now, last: now, tasks: 1, latest: [task].into(), text });
            return true;
        };
        (run.last, run.text) = (now, text);
        let is_other = !run.latest.contains(&task);
        if is_other {
            run.tasks = run.tasks.saturating_add(1);
            run.latest.truncate(LATEST_TASKS - 1);
            run.latest.push_front(task);
        }
        is_other
    }

    /// The trouble that this is, from so many tasks on.
    fn trouble(
        &self,
        origin: &str,
        kind: ServerTroubleKind,
        least: u32,
        waiting: usize,
    ) -> Option<ServerTrouble> {
        let further = self.tasks.checked_sub(least)?;
        let pause = SHORTEST_PAUSE.saturating_mul(1 << further.min(16)).min(LONGEST_PAUSE);
        Some(ServerTrouble {
            origin: origin.to_owned(),
            kind,
            since: self.since,
            until: (waiting == 0).then(|| self.last + pause),
            tasks: self.tasks,
            text: self.text.clone(),
        })
    }
}

impl Board {
    /// A call failed in a way that passes.
    pub(super) fn failed(&mut self, origin: &str, task: Uuid, text: &str) -> bool {
        let entry = self.entry(origin);
        if entry.away.is_none() {
            tracing::warn!(origin, %task, error = %one_line(text, TEXT_BYTES), "a domain server fails; its calls are tried again");
        }
        Run::count(&mut entry.away, task, text, entry.used)
    }

    /// A task got an error that is the server's fault and does not pass.
    pub(super) fn refused(&mut self, origin: &str, task: Uuid, text: &str) -> bool {
        let entry = self.entry(origin);
        Run::count(&mut entry.refusing, task, text, entry.used)
    }

    /// A task got a refusal that is its own fault as far as it can see. Returns whether that makes trouble known.
    pub(super) fn refused_alike(&mut self, origin: &str, task: Uuid, refusal: Refusal, text: &str) -> bool {
        let entry = self.entry(origin);
        let now = entry.used;
        let known = entry.alike.iter().position(|(known, _)| *known == refusal);
        let mut run = known.map(|at| entry.alike.swap_remove(at).1);
        let is_news = Run::count(&mut run, task, text, now);
        let Some(run) = run else { return false };
        let is_trouble = run.tasks >= REFUSED_TASKS;
        if entry.alike.len() >= MAX_REFUSALS {
            entry.alike.remove(0);
        }
        entry.alike.push((refusal, run));
        is_news && is_trouble
    }

    /// How many tasks in a row got the same refusal, if they are so many that it must be the server.
    pub(super) fn refuses_all(&self, origin: &str, refusal: Refusal) -> Option<u32> {
        let known = self.0.get(origin)?.alike.iter().find(|(known, _)| *known == refusal);
        known.map(|(_, run)| run.tasks).filter(|tasks| *tasks >= REFUSED_TASKS)
    }

    /// The server did well what it may have refused before.
    pub(super) fn worked(&mut self, origin: &str, what: &'static str) -> bool {
        let entry = self.entry(origin);
        let mut was_trouble = false;
        entry.alike.retain(|(refusal, run)| {
            let is_over = refusal.is_refuted_by(what);
            was_trouble |= is_over && run.tasks >= REFUSED_TASKS;
            !is_over
        });
        was_trouble
    }

    /// The server answered: it is there, whatever it said.
    pub(super) fn answered(&mut self, origin: &str) -> bool {
        let entry = self.entry(origin);
        let Some(run) = entry.away.take() else { return false };
        let seconds = run.since.elapsed().as_secs();
        tracing::info!(origin, seconds, tasks = run.tasks, "a domain server that failed answers again");
        true
    }

    /// A task got on with the server to its end.
    pub(super) fn served(&mut self, origin: &str) -> bool {
        self.entry(origin).refusing.take().is_some_and(|run| run.tasks >= REFUSED_TASKS)
    }

    /// So many more calls wait for the server, or fewer.
    pub(super) fn waiting(&mut self, origin: &str, change: isize) -> bool {
        let entry = self.entry(origin);
        entry.waiting = entry.waiting.saturating_add_signed(change);
        // The pause begins when the last call no longer waits.
        if let (0, Some(run)) = (entry.waiting, &mut entry.away) {
            run.last = entry.used;
        }
        entry.waiting == 0
    }

    pub(super) fn troubles(&self, now: Instant) -> Vec<ServerTrouble> {
        let of = |(origin, entry): (&String, &Entry)| {
            let away = entry
                .away
                .as_ref()
                .and_then(|run| run.trouble(origin, ServerTroubleKind::Away, 1, entry.waiting));
            let refusing =
                || entry.refusing.as_ref()?.trouble(origin, ServerTroubleKind::Refusing, REFUSED_TASKS, 0);
            let kind = ServerTroubleKind::SameRefusal;
            let alike = || {
                let runs = entry.alike.iter();
                let troubles = runs.filter_map(|(_, run)| run.trouble(origin, kind, REFUSED_TASKS, 0));
                troubles.max_by_key(|trouble| trouble.until)
            };
            away.filter(|trouble| lasts(trouble, now))
                .or_else(|| refusing().filter(|trouble| lasts(trouble, now)))
                .or_else(|| alike().filter(|trouble| lasts(trouble, now)))
        };
        let mut all: Vec<_> = self.0.iter().filter_map(of).collect();
        all.sort_unstable_by(|a, b| a.origin.cmp(&b.origin));
        all
    }

    fn entry(&mut self, origin: &str) -> &mut Entry {
        let now = Instant::now();
        if !self.0.contains_key(origin) {
            self.0.retain(|_, entry| entry.waiting > 0 || now.duration_since(entry.used) < FORGET_AFTER);
            if self.0.len() >= MAX_SERVERS {
                let oldest =
                    self.0.iter().min_by_key(|(_, entry)| entry.used).map(|(origin, _)| origin.clone());
                oldest.and_then(|oldest| self.0.remove(&oldest));
            }
        }
        let new = || Entry { used: now, waiting: 0, away: None, refusing: None, alike: Vec::new() };
        let entry = self.0.entry(origin.to_owned()).or_insert_with(new);
        entry.used = now;
        entry
    }
}

fn lasts(trouble: &ServerTrouble, now: Instant) -> bool {
    trouble.until.is_none_or(|until| until > now)
}
