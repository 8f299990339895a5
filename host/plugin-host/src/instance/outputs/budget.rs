//! How many artifacts a task may still start, and how many bytes it may still write.

use crate::manifest::limits::{Limit, LimitReached, Limits};

/// The limits `artifacts` and `output_bytes`, and what is left of them.
///
/// **Invariant:** nothing behind an output port counts again: whatever the port is, these two are the limits.
#[derive(Debug)]
pub(crate) struct OutputBudget {
    artifacts: u64,
    artifacts_left: u64,
    bytes: u64,
    bytes_left: u64,
}

impl OutputBudget {
    pub(crate) fn new(limits: &Limits) -> Self {
        let (artifacts, bytes) = (limits.artifacts, limits.output_bytes);
        Self { artifacts, artifacts_left: artifacts, bytes, bytes_left: bytes }
    }

    /// Counts one more artifact, unless it is one too many or is announced to be larger than what is left. An
    /// announcement only saves a futile upload: it is not counted, the bytes are.
    pub(crate) fn start_artifact(&mut self, size_hint: Option<u64>) -> Result<(), LimitReached> {
        let too_many = LimitReached { limit: Limit::Artifacts, value: self.artifacts };
        let left = self.artifacts_left.checked_sub(1).ok_or(too_many)?;
        if size_hint.is_some_and(|bytes| bytes > self.bytes_left) {
            return Err(self.bytes_reached());
        }
        // Only after the size was checked: an artifact that is refused is not counted.
        self.artifacts_left = left;
        Ok(())
    }

    /// Takes bytes that are about to be written; none when there are fewer left.
    pub(crate) fn take(&mut self, bytes: u64) -> Result<(), LimitReached> {
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or_else(|| self.bytes_reached())?;
        Ok(())
    }

    pub(crate) fn bytes_left(&self) -> u64 {
        self.bytes_left
    }

    pub(crate) fn bytes_used(&self) -> u64 {
        self.bytes - self.bytes_left
    }

    pub(crate) fn artifacts_used(&self) -> u64 {
        self.artifacts - self.artifacts_left
    }

    fn bytes_reached(&self) -> LimitReached {
        LimitReached { limit: Limit::OutputBytes, value: self.bytes }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn announcements_are_checked_and_bytes_are_counted() {
        let mut budget = OutputBudget::new(&Limits { output_bytes: 10, artifacts: 2, ..Limits::default() });
        let refused = budget.start_artifact(Some(11)).unwrap_err();
        assert_eq!(refused, LimitReached { limit: Limit::OutputBytes, value: 10 });
        assert_eq!(budget.artifacts_used(), 0, "what was refused was not started");
        budget.start_artifact(Some(10)).unwrap();
        assert_eq!(budget.bytes_left(), 10, "an announcement takes nothing");
        budget.take(8).unwrap();
        assert_eq!(budget.take(3).unwrap_err().limit, Limit::OutputBytes);
        assert_eq!(budget.bytes_used(), 8, "a refused write takes nothing");
        budget.start_artifact(None).unwrap();
        assert_eq!(budget.start_artifact(None).unwrap_err().limit, Limit::Artifacts);
    }
}
