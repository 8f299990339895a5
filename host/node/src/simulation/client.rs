//! The job server as one node calls it: each call goes through the network, and its answer is read as on the wire.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use async_trait::async_trait;
use posemesh_net::secret::Secret;
use posemesh_runner_api::json_text::JsonText;
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::auth::MachineAuth;
use crate::dms::simulated::{decode_heartbeat_answer, decode_lease};
use crate::dms::{
    DmsCall, FinalReport, HeartbeatAnswer, JobServer, JobServerError, LeaseAnswer, Sent, send_authorized,
};
use crate::simulation::call_kind::CallKind;
use crate::simulation::dms::{Reply, START};
use crate::simulation::incarnation::{About, Who};
use crate::simulation::invariant::Invariant;
use crate::simulation::ledger::Event;
use crate::simulation::network::call;
use crate::simulation::one_by_one::OneByOne;
use crate::simulation::world::{State, World};

/// The job server. Does what [`crate::dms::DmsClient`] does over HTTP.
pub(super) struct SimulatedJobServer {
    world: Arc<World>,
    who: Who,
    auth: OneByOne,
}

/// What a request asks for.
#[derive(Debug, Clone)]
enum Request {
    Lease,
    Heartbeat(Uuid, Arc<[Event]>),
    /// With the lease that is meant, and whether it is completed.
    Finish(Uuid, Option<usize>, bool),
}

impl SimulatedJobServer {
    pub(super) fn new(world: Arc<World>, who: Who, auth: Arc<dyn MachineAuth>) -> Self {
        Self { world, who, auth: OneByOne { auth, waited: AtomicU64::new(0) } }
    }

    /// Sends with the rule for 401 (protocol 3.1). The answer may have any status.
    async fn send(&self, call: DmsCall, request: Request) -> Result<Sent<Reply>, JobServerError> {
        let send = |token: Secret| {
            let request = request.clone();
            async move { self.send_once(call, request, &token).await }
        };
        let sent = send_authorized(&self.auth, call, send, |reply: &Reply| reply.status()).await?;
        if sent.answer.status == 403 && call == DmsCall::Lease {
            let now = self.world.now();
            self.world.state().links[self.who.node].troubles.token_lost(now);
        }
        Ok(sent)
    }

    async fn send_once(
        &self,
        dms: DmsCall,
        request: Request,
        token: &Secret,
    ) -> Result<Reply, JobServerError> {
        let kind = match request {
            Request::Lease => CallKind::Lease,
            Request::Heartbeat(..) => CallKind::Heartbeat,
            Request::Finish(..) => CallKind::Finish,
        };
        let (who, token) = (self.who, token.clone());
        let act = move |state: &mut State, now| serve(state, now, who, &request, token.expose());
        let reply = call(&self.world, who, kind, act).await;
        reply.map_err(|lost| JobServerError::transport(dms, lost.sent, "simulated"))
    }
}

fn serve(state: &mut State, now: Duration, who: Who, request: &Request, token: &str) -> Reply {
    let Some((node, capabilities)) = state.dds.node_of(now, token) else {
        state.links[who.node].troubles.token_lost(now);
        state.trace.note(now, || format!("DMS: 401 to {who}"));
        return Reply::of_status(401);
    };
    let reply = match request {
        Request::Lease => {
            let (reply, lease) = state.dms.lease(now, (node, who.incarnation), capabilities);
            if let Some(lease) = lease {
                let task = state.dms.leases[lease].task;
                state.trace.note(now, || format!("DMS: lease {lease} of task {task} for {who}"));
            }
            reply
        }
        Request::Heartbeat(task, events) => state.dms.heartbeat(now, node, *task, events),
        Request::Finish(task, lease, completes) => {
            let reply = state.dms.finish(now, node, (*task, *lease), *completes);
            if let Some(lease) = lease.filter(|_| *completes && reply.status == 200) {
                state.completed(lease, who, now);
            }
            reply
        }
    };
    state.trace.note(now, || format!("DMS: {} to {who}: {request:?}", reply.status));
    reply
}

/// The answer if it is a success.
fn success(call: DmsCall, reply: Reply) -> Result<Reply, JobServerError> {
    let status = reply.status();
    if status.is_success() { Ok(reply) } else { Err(JobServerError::status(call, status, reply.retry_after)) }
}

/// The time since the start of the run at which a lease ends, as an answer says.
fn deadline(expires_at: Option<OffsetDateTime>) -> Duration {
    expires_at.and_then(|at| Duration::try_from(at - START).ok()).unwrap_or(Duration::MAX / 2)
}

#[async_trait]
impl JobServer for SimulatedJobServer {
    async fn request_lease(&self) -> Result<LeaseAnswer, JobServerError> {
        let (world, who) = (&self.world, self.who);
        world.state().asks_for_lease(&world.plan, who, world.now());
        let Sent { answer: reply, at } = self.send(DmsCall::Lease, Request::Lease).await?;
        match reply.status {
            204 => return Ok(LeaseAnswer::NoWork),
            409 => return Ok(LeaseAnswer::Busy),
            _ => {}
        }
        let reply = success(DmsCall::Lease, reply)?;
        let mut answer = decode_lease(&reply.body, reply.date);
        if let LeaseAnswer::Lease(lease) = &mut answer {
            lease.sent = Some(at);
        }
        let now = world.now();
        let mut state = world.state();
        let (task, cancel, deadline) = match &answer {
            LeaseAnswer::Lease(lease) => {
                (lease.task.id, (lease.cancel, true), deadline(lease.lease_expires_at))
            }
            LeaseAnswer::Unreadable { task_id: Some(id), .. } => {
                (*id, (false, false), now + Duration::from_secs(60))
            }
            _ => return Ok(answer),
        };
        let number = state.dms.number_of(task);
        let Some(lease) = state.dms.leases.iter().rposition(|lease| Some(lease.task) == number) else {
            return Ok(answer);
        };
        state.trace.note(now, || format!("{who} gets lease {lease}: {}", word(&answer)));
        state.got_lease(who, task, lease, cancel, deadline);
        Ok(answer)
    }

    async fn heartbeat(
        &self,
        task_id: Uuid,
        progress: &JsonText,
        events: &[JsonText],
    ) -> Result<HeartbeatAnswer, JobServerError> {
        let (world, who, call) = (&self.world, self.who, DmsCall::Heartbeat(task_id));
        let now = world.now();
        let about = {
            let mut state = world.state();
            state.trace.note(now, || {
                format!("{who} sends a heartbeat for {task_id}: {progress:?}, {} events", events.len())
            });
            let limits = world.plan.nodes[who.node].settings.lease.report_limits;
            let bytes: usize = events.iter().map(|event| event.as_str().len()).sum();
            if events.len() > limits.pending_events || bytes > limits.pending_event_bytes {
                let what = format!("{} events with {bytes} bytes wait on {who}", events.len());
                state.violated(now, Invariant::QueuesBounded, what);
            }
            state.speaks(&world.plan, who, task_id, "a heartbeat", now)
        };
        let mut status = None;
        let answer = self.send(call, Request::Heartbeat(task_id, numbers(events))).await.and_then(|sent| {
            status = Some(sent.answer.status);
            let reply = success(call, sent.answer)?;
            let answer = decode_heartbeat_answer(&reply.body, reply.date);
            let answer = answer.map_err(|error| JobServerError::decode(call, &error))?;
            Ok(HeartbeatAnswer { sent: Some(sent.at), ..answer })
        });
        let now = world.now();
        let mut state = world.state();
        match &answer {
            Ok(answer) => {
                let deadline = (!answer.cancel).then(|| deadline(answer.lease_expires_at));
                state.extended(about, deadline);
            }
            Err(_) => state.refused(about, status, true),
        }
        state.trace.note(now, || format!("{who} hears of {task_id}: {}", result(&answer)));
        answer
    }

    async fn finish(&self, task_id: Uuid, report: &FinalReport) -> Result<(), JobServerError> {
        let (world, who) = (&self.world, self.who);
        let (now, verb) = (world.now(), report.verb());
        let completes = matches!(report, FinalReport::Complete(_));
        let (about, lease) = {
            let mut state = world.state();
            state.trace.note(now, || match report {
                FinalReport::Complete(_) => format!("{who} sends complete for {task_id}"),
                FinalReport::Fail { reason, .. } => format!("{who} sends fail for {task_id}: {reason}"),
            });
            if gives_back(report) && !state.knows(who, task_id) {
                (About::orphan(who, task_id, now), None)
            } else {
                let lease = state.reports(who, task_id, report, now);
                (state.speaks(&world.plan, who, task_id, verb, now), lease)
            }
        };
        let call = if completes { DmsCall::Complete(task_id) } else { DmsCall::Fail(task_id) };
        let mut status = None;
        let answer = self.send(call, Request::Finish(task_id, lease, completes)).await.and_then(|sent| {
            status = Some(sent.answer.status);
            success(call, sent.answer).map(drop)
        });
        let now = world.now();
        let mut state = world.state();
        match &answer {
            Ok(()) => state.ended(about),
            Err(_) => state.refused(about, status, false),
        }
        state.trace.note(now, || format!("{who} hears of {task_id}: {}", result(&answer)));
        answer
    }
}

/// Whether it gives back the lease of a dead process.
fn gives_back(report: &FinalReport) -> bool {
    matches!(report, FinalReport::Fail { reason, .. } if reason == "node_crashed")
}

/// The events with their leases and numbers.
fn numbers(events: &[JsonText]) -> Arc<[Event]> {
    let number = |event: &JsonText| {
        let event: Value = serde_json::from_str(event.as_str()).ok()?;
        Some((event["lease"].as_u64()? as usize, event["step"].as_u64()?))
    };
    events.iter().filter_map(number).collect()
}

fn word(answer: &LeaseAnswer) -> &'static str {
    match answer {
        LeaseAnswer::Lease(_) => "a lease",
        LeaseAnswer::NoWork => "no work",
        LeaseAnswer::Busy => "busy",
        LeaseAnswer::Unreadable { .. } => "unreadable",
    }
}

fn result<T>(answer: &Result<T, JobServerError>) -> String {
    match answer {
        Ok(_) => "accepted".to_owned(),
        Err(error) => format!("{:?}", error.kind),
    }
}
