//! What the node has done lately, for people who look: the last tasks, and how leases ended.

mod history;
mod measures;
mod outcome;
mod record;
mod store;
mod totals;

pub(crate) use history::MinuteView;
pub(crate) use measures::RunnerMeasures;
pub(crate) use outcome::LeaseOutcome;
pub(crate) use record::{RecordState, TaskRecord};
pub(crate) use store::{OpenRecord, RecordPage, TaskRecords};
pub use totals::LeaseTotals;

#[cfg(test)]
mod tests;
