//! Heartbeats: what keeps a lease alive while its runner works (protocol 4.2, 4.3).
//!
//! They run in a task of their own and share nothing with the runner but its
//! [`Reports`](posemesh_runner_api::reports::Reports) and the task token, so neither a busy runner nor a
//! stalled upload delays them. They do need a thread of the runtime from time to time: whoever runs guest
//! code must do it where it can't occupy all of them (the plugin host runs guests on threads of their own).

mod clock;
mod driver;
mod policy;
mod sender;
mod spacing;
mod state;
mod times;

pub(crate) use clock::{DEFAULT_TTL, LeaseClock};
pub(crate) use driver::Heartbeats;
pub(crate) use policy::HeartbeatPolicy;
pub(crate) use sender::{HeartbeatResult, HeartbeatSender};
pub(crate) use state::LeaseState;
pub(crate) use times::LeaseTimes;
