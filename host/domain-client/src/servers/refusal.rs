//! A refusal that looks like the task's own fault.
//!
//! One task's missing input is the task's fault, and so is one artifact that is too large. A server that says the same to
//! task after task, and does the same thing well for none in between, is the likelier cause: it has lost its data, or
//! stands behind a proxy that is set up wrongly.

/// What a server refused, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// What was attempted.
    pub(crate) what: &'static str,
    /// The status of the answer, or the one that it amounts to.
    pub(crate) status: u16,
    /// Whether data was asked for, and not sent.
    pub(crate) reads: bool,
}

impl Refusal {
    /// Whether the success of this shows that the server is well after all. Whoever has something to read from may well
    /// be asked for something that it has not; whoever lets an upload begin may refuse each part of it.
    pub(crate) fn is_refuted_by(&self, what: &'static str) -> bool {
        self.reads || self.what == what
    }
}
