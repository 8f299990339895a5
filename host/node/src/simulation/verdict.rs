//! What is judged when a run is over: whether the nodes and the server agree about how each lease ended.

use uuid::Uuid;

use crate::records::{LeaseOutcome, RecordState, TaskRecord};
use crate::simulation::incarnation::Gone;
use crate::simulation::invariant::Invariant;
use crate::simulation::ledger::{LeaseEnd, SimLease, lease_of};
use crate::simulation::world::{State, World};

/// The most records that a node keeps, besides those of leases that it works on.
const MAX_RECORDS: usize = 256;

/// Compares the records of every start of a node with what the server has.
pub(super) fn judge(world: &World) {
    let now = world.now();
    let mut state = world.state();
    let mut found = Vec::new();
    for (number, incarnation) in state.incarnations.iter().enumerate() {
        // A process that died has said nothing about how its leases ended.
        if !matches!(incarnation.gone, Some((_, Gone::Returned))) {
            continue;
        }
        let records = incarnation.records.list();
        let running = incarnation.records.totals().running();
        if running > 0 {
            let what = format!("start {number} has returned with {running} leases that have not ended");
            found.push((Invariant::EndedAsSeen, what));
        }
        let (counted, given) = (incarnation.records.totals().leased, incarnation.leases);
        if counted != given {
            let what = format!("start {number} counts {counted} leases, and was given {given}");
            found.push((Invariant::EndedAsSeen, what));
        }
        if records.len() > MAX_RECORDS {
            found.push((Invariant::QueuesBounded, format!("start {number} keeps {} records", records.len())));
        }
        for record in &records {
            if let Some(what) = disagreement(&state, record) {
                found.push((Invariant::EndedAsSeen, format!("start {number}: {what}")));
            }
        }
    }
    for (invariant, what) in found {
        state.violated(now, invariant, what);
    }
}

/// How the record of a lease differs from what the server has.
fn disagreement(state: &State, record: &TaskRecord) -> Option<String> {
    let number = record.job_id.and_then(|id: Uuid| lease_of(id))?;
    let lease = state.dms.leases.get(number)?;
    let agrees = match &record.state {
        RecordState::Ended(outcome) => match outcome {
            LeaseOutcome::Completed { confirmed: true } => ended_as(state, number, LeaseEnd::Completed),
            LeaseOutcome::Failed { confirmed: true, .. } => ended_as(state, number, LeaseEnd::Failed),
            LeaseOutcome::Cancelled => state.dms.tasks[lease.task].cancel_wanted,
            // Guesses of the node, that no answer confirms.
            LeaseOutcome::Completed { confirmed: false }
            | LeaseOutcome::Failed { confirmed: false, .. }
            | LeaseOutcome::Lost { .. } => {
                lease.end.is_some() && (!was_calm(state, lease) || ended_by_another(number, lease))
            }
        },
        _ => false,
    };
    let (said, seen) = (record.state.word(), lease.end);
    (!agrees).then(|| format!("lease {number} is {said} to the node, and {seen:?} to the server"))
}

/// Whether the server has this end by the report of this lease. If the lease had expired and the server had leased the
/// task to the same node once more, it may have taken the report for one of the later lease.
fn ended_as(state: &State, number: usize, end: LeaseEnd) -> bool {
    let ended = |lease: &SimLease| lease.end == Some(end) && lease.ended_by == Some(number);
    state.dms.leases[number..].iter().any(ended)
}

/// Whether a late report of an earlier lease of the task has ended it, which looks to the node like a lease that is lost.
fn ended_by_another(number: usize, lease: &SimLease) -> bool {
    lease.ended_by.is_some_and(|by| by != number)
}

/// Whether nothing went wrong from the grant of a lease to its end, so that there is no reason to lose it.
fn was_calm(state: &State, lease: &SimLease) -> bool {
    let incarnation = &state.incarnations[lease.incarnation];
    let until = lease.expires.max(lease.extended);
    incarnation.stopped.is_none()
        && !state.dms.tasks[lease.task].cancel_wanted
        && state.times_known
        && state.links[lease.node].troubles.is_calm(lease.granted, until)
}
