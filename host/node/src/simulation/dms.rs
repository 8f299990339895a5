//! The simulated job server: tasks and leases, without time of its own and without a network (protocol 3).

use std::collections::BTreeSet;
use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use crate::simulation::ledger::{Event, Events, LeaseEnd, SimLease, SimTask, TaskState, lease_id};
use crate::simulation::plan::{CAPABILITIES, Dates, Plan};

/// What the server's clock shows at the start of every run.
pub(super) const START: OffsetDateTime = time::macros::datetime!(2026-01-01 00:00 UTC);

/// The state of the server.
pub(super) struct Dms {
    pub(super) tasks: Vec<SimTask>,
    pub(super) leases: Vec<SimLease>,
    ttl: Duration,
    sweep: Duration,
    forgiving: bool,
    one_lease_per_node: bool,
    lost_status: u16,
    tells_cancel: bool,
    rotates_task_tokens: bool,
    tells_expiry: bool,
    dates: Dates,
}

/// An answer as it leaves a server.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
    pub(super) date: Option<OffsetDateTime>,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn of_status(status: u16) -> Self {
        Self { status, retry_after: None, date: None, body: Vec::new() }
    }

    pub(super) fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap()
    }
}

impl Dms {
    pub(super) fn new(plan: &Plan) -> Self {
        let server = &plan.server;
        Self {
            tasks: Vec::new(),
            leases: Vec::new(),
            ttl: server.ttl,
            sweep: server.sweep,
            forgiving: server.forgiving,
            one_lease_per_node: server.one_lease_per_node,
            lost_status: server.lost_status,
            tells_cancel: server.tells_cancel,
            rotates_task_tokens: server.rotates_task_tokens,
            tells_expiry: server.tells_expiry,
            dates: server.dates,
        }
    }

    pub(super) fn submit(&mut self, capability: usize, max_attempts: u32) {
        let capability = CAPABILITIES[capability];
        let state = TaskState::Queued;
        self.tasks.push(SimTask { capability, max_attempts, attempts: 0, state, cancel_wanted: false });
    }

    /// Whether every task has ended.
    pub(super) fn is_done(&self) -> bool {
        !self.tasks.iter().any(|task| matches!(task.state, TaskState::Queued | TaskState::Leased(_)))
    }

    /// Ends the leases that have expired and were swept by now; returns their numbers.
    pub(super) fn expire(&mut self, now: Duration) -> Vec<usize> {
        let mut expired = Vec::new();
        for number in 0..self.leases.len() {
            let lease = &self.leases[number];
            let sweep = self.sweep.as_millis();
            let swept = lease.expires.as_millis().div_ceil(sweep) * sweep;
            if lease.end.is_none() && now.as_millis() >= swept {
                let task = lease.task;
                self.end(number, LeaseEnd::Expired);
                self.requeue(task);
                expired.push(number);
            }
        }
        expired
    }

    /// The submitter cancels a task.
    pub(super) fn cancel(&mut self, task: usize) {
        let Some(found) = self.tasks.get_mut(task) else { return };
        match found.state {
            // Claimed all the same by a server that notices too late: the lease says so (protocol 5, step 1).
            TaskState::Queued if self.tells_cancel => found.cancel_wanted = true,
            TaskState::Queued => found.state = TaskState::Cancelled,
            TaskState::Leased(lease) => {
                found.cancel_wanted = true;
                if !self.tells_cancel {
                    found.state = TaskState::Cancelled;
                    self.end(lease, LeaseEnd::Cancelled);
                }
            }
            TaskState::Completed | TaskState::Failed | TaskState::Cancelled => {}
        }
    }

    /// `GET /tasks` of a node with these capabilities.
    pub(super) fn lease(
        &mut self,
        now: Duration,
        (node, incarnation): (usize, usize),
        capabilities: &BTreeSet<String>,
    ) -> (Reply, Option<usize>) {
        let holds = self.leases.iter().any(|lease| lease.node == node && lease.end.is_none());
        if self.one_lease_per_node && holds {
            return (Reply::of_status(409), None);
        }
        let wanted =
            |task: &SimTask| task.state == TaskState::Queued && capabilities.contains(task.capability);
        let Some(number) = self.tasks.iter().position(wanted) else {
            return (Reply::of_status(204), None);
        };
        let lease = self.leases.len();
        let expires = now + self.ttl;
        self.leases.push(SimLease {
            task: number,
            node,
            incarnation,
            extended: now,
            heard: now,
            expires,
            end: None,
            ended_by: None,
            granted: now,
            slow_to_end: false,
            reported: None,
            events: Events::default(),
        });
        let task = &mut self.tasks[number];
        task.state = TaskState::Leased(lease);
        let mut body = json!({
            "access_token": format!("t-{lease}"),
            "lease_expires_at": self.stamp(expires),
            "cancel": self.tasks[number].cancel_wanted,
            "domain_id": Uuid::nil(),
            "domain_server_url": "https://domain.test",
        });
        body["task"] = self.task_body(number, lease);
        (self.answer(now, &body), Some(lease))
    }

    /// `POST /tasks/{id}/heartbeat`.
    pub(super) fn heartbeat(&mut self, now: Duration, node: usize, task: Uuid, events: &[Event]) -> Reply {
        let Some(number) = self.held(now, node, task) else { return Reply::of_status(self.lost_status) };
        let lease = &mut self.leases[number];
        lease
            .events
            .arrived
            .extend(events.iter().filter(|(lease, _)| *lease == number).map(|(_, step)| *step));
        lease.extended = now;
        lease.expires = now + self.ttl;
        let (expires, task) = (lease.expires, lease.task);
        let cancel = self.tasks[task].cancel_wanted;
        let mut body = json!({ "cancel": cancel });
        if self.tells_expiry {
            body["lease_expires_at"] = json!(self.stamp(expires));
        }
        if self.rotates_task_tokens {
            body["access_token"] = json!(format!("t-{number}-{}", now.as_millis()));
        }
        if cancel {
            self.tasks[task].state = TaskState::Cancelled;
            self.end(number, LeaseEnd::Cancelled);
        }
        self.answer(now, &body)
    }

    /// `POST /tasks/{id}/complete` or `fail`; `by` is the lease that its sender means.
    pub(super) fn finish(
        &mut self,
        now: Duration,
        node: usize,
        (task, by): (Uuid, Option<usize>),
        completes: bool,
    ) -> Reply {
        let Some(number) = self.held(now, node, task) else { return Reply::of_status(self.lost_status) };
        self.leases[number].ended_by = by;
        let task = self.leases[number].task;
        if completes {
            self.end(number, LeaseEnd::Completed);
            self.tasks[task].state = TaskState::Completed;
        } else {
            self.end(number, LeaseEnd::Failed);
            self.requeue(task);
        }
        self.answer(now, &json!({}))
    }

    /// The number of the task with this id.
    pub(super) fn number_of(&self, task: Uuid) -> Option<usize> {
        let (high, number) = task.as_u64_pair();
        (high == 1).then_some(number as usize).filter(|number| *number < self.tasks.len())
    }

    /// The lease of this task, if the node holds it.
    fn held(&self, now: Duration, node: usize, task: Uuid) -> Option<usize> {
        let TaskState::Leased(number) = self.tasks[self.number_of(task)?].state else { return None };
        let lease = &self.leases[number];
        let alive = self.forgiving || now < lease.expires;
        (lease.node == node && alive).then_some(number)
    }

    fn end(&mut self, lease: usize, end: LeaseEnd) {
        self.leases[lease].end.get_or_insert(end);
    }

    /// One attempt more is used up.
    fn requeue(&mut self, task: usize) {
        let task = &mut self.tasks[task];
        task.attempts += 1;
        task.state = if task.cancel_wanted {
            TaskState::Cancelled
        } else if task.attempts < task.max_attempts {
            TaskState::Queued
        } else {
            TaskState::Failed
        };
    }

    fn task_body(&self, number: usize, lease: usize) -> Value {
        let task = &self.tasks[number];
        json!({
            "id": Uuid::from_u64_pair(1, number as u64),
            // A job's id of its own for each lease: final reports carry it, so that each can be told from the others.
            "job_id": lease_id(lease),
            "capability": task.capability,
            "inputs_cids": ["cid"],
            "meta": {},
            "attempts": task.attempts,
            "max_attempts": task.max_attempts,
        })
    }

    fn answer(&self, now: Duration, body: &Value) -> Reply {
        let ahead = match self.dates {
            Dates::Exact => Some(0),
            Dates::Missing => None,
            Dates::Ahead(seconds) => Some(seconds),
        };
        // The header has whole seconds.
        let date =
            ahead.map(|ahead| START + Duration::from_secs(now.as_secs()) + time::Duration::seconds(ahead));
        Reply { date, body: body.to_string().into_bytes(), ..Reply::of_status(200) }
    }

    fn stamp(&self, at: Duration) -> String {
        (START + at).format(&Rfc3339).unwrap_or_default()
    }
}
