//! What the node has done lately, for people who look: the last tasks, and how leases ended.

mod history;
mod listener;
mod logs;
mod measures;
mod outcome;
mod polls;
mod record;
mod store;
mod totals;

pub(crate) use history::{FailuresView, MinuteView};
#[cfg_attr(not(feature = "plugins"), allow(unused_imports))]
pub(crate) use listener::{EndedTask, LeaseEvent};
pub(crate) use measures::RunnerMeasures;
pub(crate) use outcome::LeaseOutcome;
pub(crate) use record::{RecordState, TaskRecord};
#[cfg(test)]
pub(crate) use store::RecentRecords;
pub(crate) use store::{OpenRecord, RecordPage, TaskRecords};
pub use totals::LeaseTotals;

#[cfg(test)]
mod tests;
