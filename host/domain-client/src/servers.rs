//! Which domain servers are in trouble now. A node that knows asks for no lease meanwhile: each task that fails by a
//! server costs its job an attempt.
//!
//! Three kinds of trouble. A server is *away* from a call's first failure that passes (no connection, 5xx, 429) until it
//! answers anything else. It is *refusing* once several tasks in a row ended in errors that are its fault (403 to
//! everything, say), until a task gets on with it. It gives the *same refusal* to everybody once several tasks in a row
//! got one that is a task's own fault if a single one gets it (404, 413), until it does the same thing well. Leases are asked for without naming a server, so trouble of the past
//! must not hold a node up for ever: it ends by itself after a pause that grows with the number of tasks.

mod board;
mod health;
mod refusal;
mod task;
mod trouble;

pub use health::Servers;
pub use trouble::{ServerTrouble, ServerTroubleKind};

pub(crate) use refusal::Refusal;
pub(crate) use task::{ServerWait, TaskAtServer, UnansweredCall};

#[cfg(test)]
mod tests;
