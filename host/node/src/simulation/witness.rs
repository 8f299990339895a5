//! Judges what a node says by what it was told.

use std::time::Duration;

use uuid::Uuid;

use crate::dms::FinalReport;
use crate::journal::OrphanedLease;
use crate::records::RecordState;
use crate::simulation::incarnation::{About, Known, Who};
use crate::simulation::invariant::Invariant;
use crate::simulation::ledger::{Events, LeaseEnd, SimLease, lease_id, lease_of};
use crate::simulation::plan::Plan;
use crate::simulation::world::State;

/// How a node knows that a lease is over that it has ended itself.
const ACCEPTED: &str = "its end was accepted";

/// A deadline is only reckoned: the server's `Date` has whole seconds.
const TOLERANCE: Duration = Duration::from_millis(1100);

impl State {
    /// A node asks for a lease.
    pub(super) fn asks_for_lease(&mut self, plan: &Plan, who: Who, now: Duration) {
        let incarnation = &self.incarnations[who.incarnation];
        let running = incarnation.records.totals().running();
        let allowed = plan.nodes[who.node].settings.max_concurrency as u64;
        let shutdown = &incarnation.shutdown;
        if shutdown.draining().is_some() || shutdown.stopping().is_cancelled() {
            self.violated(now, Invariant::NoLeaseWhileDraining, format!("{who} asks for a lease"));
        } else if running >= allowed {
            let what = format!("{who} asks for a lease while it has {running} of {allowed}");
            self.violated(now, Invariant::NoLeaseBeyondConcurrency, what);
        }
    }

    /// A node gets a lease.
    pub(super) fn got_lease(
        &mut self,
        who: Who,
        task: Uuid,
        lease: usize,
        (cancelled, readable): (bool, bool),
        deadline: Duration,
    ) {
        let over = cancelled.then_some("it was cancelled before it was leased");
        let known = Known { lease, deadline, readable, over, doubts: (0, 0) };
        let incarnation = &mut self.incarnations[who.incarnation];
        incarnation.leases += 1;
        incarnation.known.insert(task, known);
    }

    /// Whether the task was leased to this start of the node.
    pub(super) fn knows(&self, who: Who, task: Uuid) -> bool {
        self.incarnations[who.incarnation].known.contains_key(&task)
    }

    /// A process has died, or was told to end at once: its journal must hold every lease that it worked on.
    pub(super) fn died(&mut self, who: Who, now: Duration) {
        let incarnation = &self.incarnations[who.incarnation];
        let journal = &self.links[who.node].journal;
        let records = incarnation.records.list();
        let works_on = |lease: usize| {
            let id = Some(lease_id(lease));
            records.iter().any(|record| record.job_id == id && !matches!(record.state, RecordState::Ended(_)))
        };
        let forgotten = incarnation.known.iter().find(|(task, known)| {
            known.readable && known.over.is_none() && works_on(known.lease) && !journal.holds(**task)
        });
        if let Some((task, known)) = forgotten {
            let what =
                format!("{who} has died with lease {} of {task}, which is not in its journal", known.lease);
            self.violated(now, Invariant::JournalIsRight, what);
        }
    }

    /// A node starts with what the journal of its last process holds: no lease that that process had
    /// ended itself.
    pub(super) fn finds(&mut self, who: Who, orphans: &[OrphanedLease], now: Duration) {
        let before = self.incarnations[..who.incarnation].iter().rev().find(|last| last.node == who.node);
        let Some(before) = before else { return };
        let over = |orphan: &&OrphanedLease| {
            before.known.get(&orphan.task_id).is_some_and(|known| known.over == Some(ACCEPTED))
        };
        if let Some(OrphanedLease { task_id }) = orphans.iter().find(over) {
            let what =
                format!("{who} finds {task_id} in its journal, though the last process had ended its lease");
            self.violated(now, Invariant::JournalIsRight, what);
        }
    }

    /// A node sends a heartbeat or a final report about a task. Returns the lease that it is about.
    pub(super) fn speaks(&mut self, plan: &Plan, who: Who, task: Uuid, what: &str, now: Duration) -> About {
        let known = self.incarnations[who.incarnation].known.get(&task);
        let said = match known {
            None => Some(format!("{who} sends {what} for {task}, which was never leased to it")),
            Some(known) => match known.over {
                Some(over) => Some(format!("{who} sends {what} for lease {}, though {over}", known.lease)),
                None if plan.times_are_known() && now > known.deadline + TOLERANCE => Some(format!(
                    "{who} sends {what} for lease {}, which had expired at {:.3} s as far as it was told",
                    known.lease,
                    known.deadline.as_secs_f64()
                )),
                None => None,
            },
        };
        let lease = known.map(|known| known.lease);
        if let Some(said) = said {
            self.violated(now, Invariant::SilentAfterEnd, said);
        }
        About { who, task, lease, at: now }
    }

    /// What a node knows of a lease; none if it has another lease of the task since.
    fn known(&mut self, about: About) -> Option<&mut Known> {
        let known = self.incarnations[about.who.incarnation].known.get_mut(&about.task)?;
        (Some(known.lease) == about.lease).then_some(known)
    }

    /// A node sends a final report, which names its lease unless the set-up failed. Returns the lease.
    pub(super) fn reports(
        &mut self,
        who: Who,
        task: Uuid,
        report: &FinalReport,
        now: Duration,
    ) -> Option<usize> {
        let (body, completes) = match report {
            FinalReport::Complete(body) => (&body["meta"], true),
            FinalReport::Fail { details, .. } => (details, false),
        };
        let named = body["job"]["job_id"].as_str().and_then(|id| Uuid::parse_str(id).ok()).and_then(lease_of);
        let latest = self.incarnations[who.incarnation].known.get(&task).map(|known| known.lease);
        let number = named.or(latest)?;
        if named.is_some() && named != latest {
            let what = format!("{who} reports the end of lease {number}, but was given {latest:?} since");
            self.violated(now, Invariant::SilentAfterEnd, what);
        }
        if let Some(lease) = self.dms.leases.get_mut(number) {
            lease.reported.get_or_insert(now);
        }
        let other = if completes { LeaseEnd::Failed } else { LeaseEnd::Completed };
        // By its own report: a late one of an earlier lease is beyond what a node can know.
        let by_itself = |lease: &SimLease| lease.end == Some(other) && lease.ended_by == Some(number);
        if self.dms.leases.get(number).is_some_and(by_itself) {
            let verb = report.verb();
            let what = format!("{who} sends {verb} for lease {number}, which the server has as {other:?}");
            self.violated(now, Invariant::OneEnd, what);
        }
        Some(number)
    }

    /// A lease is completed: in a network that was well all the time, every event has arrived before.
    pub(super) fn completed(&mut self, number: usize, who: Who, now: Duration) {
        let Some(lease) = self.dms.leases.get(number) else { return };
        let Events { emitted, dropped, arrived } = &lease.events;
        let (missing, incarnation) =
            (*emitted > arrived.len() as u64 + *dropped, &self.incarnations[who.incarnation]);
        let calm = self.links[who.node].troubles.is_calm(lease.granted, now);
        if missing && calm && incarnation.stopped.is_none() {
            let what = format!(
                "lease {number} of {who} is completed with {} of {emitted} events, {dropped} of which were dropped",
                arrived.len()
            );
            self.violated(now, Invariant::ReportsArrive, what);
        }
    }

    /// A heartbeat was answered: `deadline` is the new end of the lease, none if the answer cancels it.
    pub(super) fn extended(&mut self, about: About, deadline: Option<Duration>) {
        let Some(known) = self.known(about) else { return };
        known.doubts.0 = 0;
        match deadline {
            Some(deadline) => {
                known.deadline = known.deadline.max(deadline);
                let lease = known.lease;
                self.dms.leases[lease].heard = about.at;
            }
            None => known.over = Some("it was cancelled"),
        }
    }

    /// A final report was accepted.
    pub(super) fn ended(&mut self, about: About) {
        if let Some(known) = self.known(about) {
            known.over = Some(ACCEPTED);
        }
    }

    /// A heartbeat or a final report failed, with this status unless there was no answer.
    pub(super) fn refused(&mut self, about: About, status: Option<u16>, heartbeat: bool) {
        let Some(known) = self.known(about) else { return };
        let doubts = if heartbeat { &mut known.doubts.0 } else { &mut known.doubts.1 };
        let sure = match status {
            Some(409 | 410) => true,
            // A single one may come from a proxy: a node may ask once more before it believes it.
            Some(403 | 404) => {
                *doubts += 1;
                *doubts > 1
            }
            _ => {
                // Another kind of report may be sent after it, which may be asked for once more as well.
                if !heartbeat {
                    *doubts = 0;
                }
                false
            }
        };
        if sure {
            known.over = Some("the server had said that it is lost");
        }
    }
}
