//! The network between nodes and servers, and everything that can happen to one call in it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::simulation::call_kind::CallKind;
use crate::simulation::dms::Reply;
use crate::simulation::draw::Draw;
use crate::simulation::incarnation::Who;
use crate::simulation::plan::{NetworkPlan, Plan};
use crate::simulation::world::{State, World};

/// A call without an answer.
#[derive(Debug)]
pub(super) struct NoAnswer {
    /// Whether the server may have received it.
    pub(super) sent: bool,
}

/// What happens to a call.
#[derive(Debug, Clone, Copy)]
enum Fate {
    Answered,
    /// No connection.
    Refused,
    /// The request is lost; the caller notices after so long.
    LostBefore(Duration),
    /// The server acts, its answer is lost; the caller notices so long after it has acted.
    LostAfter(Duration),
    /// Something in between answers, and the server hears nothing.
    Status(u16, Option<Duration>),
    /// The server acts, and something in between answers with this.
    StatusAfter(u16),
    /// The request is long under way; its sender may have given up when it arrives.
    Late(Duration),
    /// The server acts, and so much of its answer arrives, in thousandths.
    Cut(u64),
    /// The server acts, and the answer is not JSON.
    Nonsense,
    /// The node crashes while the request is under way.
    CrashBefore,
    /// The node crashes when the server has acted.
    CrashAfter,
}

/// The times that a call takes.
struct Course {
    fate: Fate,
    /// From the node to the server.
    to: Duration,
    /// Back.
    back: Duration,
}

/// Makes a call: `act` is what the server does when the request arrives, if it arrives.
pub(super) async fn call(
    world: &Arc<World>,
    who: Who,
    kind: CallKind,
    act: impl FnOnce(&mut State, Duration) -> Reply + Send + 'static,
) -> Result<Reply, NoAnswer> {
    let Course { fate, to, back } = course(world, who, kind);
    match fate {
        Fate::Refused => {
            sleep(back).await;
            return Err(NoAnswer { sent: false });
        }
        Fate::LostBefore(noticed) => {
            sleep(noticed).await;
            return Err(NoAnswer { sent: true });
        }
        Fate::Status(status, retry_after) => {
            sleep(to + back).await;
            return Ok(Reply { retry_after, ..Reply::of_status(status) });
        }
        Fate::CrashBefore => {
            sleep(to).await;
            crash(world, who).await;
        }
        Fate::Late(arrives) => {
            let answer = send(world, arrives, act);
            let limit = world.plan.network.request_timeout;
            return match timeout(limit, answer).await {
                Ok(Ok(reply)) => Ok(reply),
                Ok(Err(_)) | Err(_) => Err(NoAnswer { sent: true }),
            };
        }
        _ => {}
    }
    let answer = send(world, to, act);
    let reply = answer.await.map_err(|_| NoAnswer { sent: true })?;
    match fate {
        Fate::LostAfter(noticed) => {
            sleep(noticed).await;
            Err(NoAnswer { sent: true })
        }
        Fate::StatusAfter(status) => {
            sleep(back).await;
            Ok(Reply::of_status(status))
        }
        Fate::Cut(thousandths) => {
            sleep(back).await;
            let mut reply = reply;
            reply.body.truncate(reply.body.len() * thousandths as usize / 1000);
            Ok(reply)
        }
        Fate::Nonsense => {
            sleep(back).await;
            Ok(Reply { body: b"<html>welcome to the hotel</html>".to_vec(), ..reply })
        }
        Fate::CrashAfter => {
            crash(world, who).await;
            Err(NoAnswer { sent: true })
        }
        _ => {
            sleep(back).await;
            Ok(reply)
        }
    }
}

/// A request on its way. It arrives whether or not its sender still waits for the answer, or lives.
fn send(
    world: &Arc<World>,
    to: Duration,
    act: impl FnOnce(&mut State, Duration) -> Reply + Send + 'static,
) -> oneshot::Receiver<Reply> {
    let (answer, answered) = oneshot::channel();
    world.state().packets += 1;
    let world = world.clone();
    tokio::spawn(async move {
        sleep(to).await;
        let now = world.now();
        let mut state = world.state();
        state.sweep(&world.plan, now);
        let reply = act(&mut state, now);
        state.packets -= 1;
        // The sender may have given up.
        let _ = answer.send(reply);
    });
    answered
}

/// Crashes the node that makes the call.
async fn crash(world: &World, who: Who) {
    world.note(|| format!("{who} crashes in the middle of a call"));
    let crash = world.state().incarnations[who.incarnation].crash.clone();
    crash.cancel();
    // Its end drops this call.
    std::future::pending::<()>().await;
}

fn course(world: &World, who: Who, kind: CallKind) -> Course {
    let now = world.now();
    let mut state = world.state();
    let state = &mut *state;
    state.calls(&world.plan, who.node, now);
    state.tally.add(now, kind);
    let healthy = state.healthy;
    let link = &mut state.links[who.node];
    let draw = &mut link.draws[kind as usize];
    let network = &world.plan.network;
    let (to, back) = (draw.millis(1, network.latency), draw.millis(1, network.latency));
    let fate = if healthy { Fate::Answered } else { fate(&world.plan, draw, now, kind) };
    let lasts = match fate {
        Fate::Answered => return Course { fate, to, back },
        Fate::LostBefore(noticed) => noticed,
        Fate::Late(arrives) => arrives.max(network.request_timeout),
        Fate::LostAfter(noticed) => to + noticed,
        _ => to + back,
    };
    link.troubles.add(now, now + lasts);
    if kind.is_dds() || matches!(fate, Fate::Status(401, _)) {
        link.troubles.token_lost(now);
    }
    state.trace.note(now, || format!("{who} {kind:?}: {fate:?}"));
    Course { fate, to, back }
}

fn fate(plan: &Plan, draw: &mut Draw, now: Duration, kind: CallKind) -> Fate {
    let network = &plan.network;
    let outage = network
        .outages
        .iter()
        .find(|outage| outage.of_dds == kind.is_dds() && outage.from <= now && now < outage.to);
    if let Some(outage) = outage {
        return if outage.refuses { Fate::Refused } else { Fate::LostBefore(network.request_timeout) };
    }
    // Logins and registrations are rare: a crash is for the calls of leases.
    if !kind.is_dds() && draw.in_thousand(network.crash_rate) {
        return draw.of([Fate::CrashBefore, Fate::CrashAfter]);
    }
    if draw.in_thousand(network.fault_rate) { accident(network, draw, kind) } else { Fate::Answered }
}

fn accident(network: &NetworkPlan, draw: &mut Draw, kind: CallKind) -> Fate {
    let noticed = if draw.in_thousand(500) { network.request_timeout } else { draw.millis(1, 500) };
    match draw.between(0, 10) {
        10 => Fate::Late(draw.millis(300, 12_000)),
        0 => Fate::Refused,
        1 => Fate::LostBefore(noticed),
        2 | 3 => Fate::LostAfter(noticed),
        4 => Fate::StatusAfter(draw.of([408, 500, 502, 504])),
        5 => Fate::Status(draw.of([429, 503]), Some(Duration::from_secs(draw.of([1, 5, 60])))),
        6 => Fate::Status(draw.of([500, 503, 502]), None),
        // What a proxy says while it is being changed, or a server that is wrong.
        7 => Fate::Status(draw.of([400, 401, 403, 404, 409, 410, 413, 422]), None),
        // What follows the status of an accepted report is never read.
        8 if kind != CallKind::Finish => Fate::Cut(draw.between(0, 999)),
        _ if kind != CallKind::Finish => Fate::Nonsense,
        _ => Fate::LostAfter(noticed),
    }
}
