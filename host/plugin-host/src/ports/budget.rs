//! How many inputs a task may still open, and how many bytes of them it may still read.

use std::sync::atomic::{AtomicU64, Ordering};

use posemesh_runner_api::ports::PortError;

use crate::manifest::limits::{Limit, LimitReached, Limits};

/// The limits `input_requests` and `input_bytes`, and what is left of them. Shared by all inputs of a task.
#[derive(Debug)]
pub(super) struct InputBudget {
    requests: Budget,
    bytes: Budget,
}

#[derive(Debug)]
struct Budget {
    reached: LimitReached,
    left: AtomicU64,
}

impl InputBudget {
    pub(super) fn new(limits: &Limits) -> Self {
        let budget =
            |limit| Budget { reached: limits.reached(limit), left: AtomicU64::new(limits.get(limit)) };
        Self { requests: budget(Limit::InputRequests), bytes: budget(Limit::InputBytes) }
    }

    /// Counts a request that is about to be made.
    ///
    /// # Errors
    /// When it is one too many.
    pub(super) fn request(&self) -> Result<(), PortError> {
        self.requests.take(1)
    }

    /// How many inputs may still be opened, and how many bytes may still be read.
    pub(super) fn left(&self) -> (u64, u64) {
        (self.requests.left.load(Ordering::Relaxed), self.bytes.left.load(Ordering::Relaxed))
    }

    /// Counts bytes that have come, or will.
    ///
    /// # Errors
    /// When fewer were left. They are used up then, since they have come all the same.
    pub(super) fn bytes(&self, bytes: u64) -> Result<(), PortError> {
        self.bytes.take(bytes)
    }
}

impl Budget {
    fn take(&self, amount: u64) -> Result<(), PortError> {
        let taken = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| Some(left.saturating_sub(amount)));
        // The closure always gives a value, so this is never an error.
        let left = taken.unwrap_or_else(|left| left);
        if left < amount { Err(PortError::limit(self.reached.to_string())) } else { Ok(()) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use posemesh_runner_api::ports::PortErrorKind;

    use super::*;

    #[test]
    fn what_is_used_up_stays_used_up_and_is_named() {
        let budget = InputBudget::new(&Limits { input_requests: 2, input_bytes: 10, ..Limits::default() });
        budget.request().unwrap();
        budget.request().unwrap();
        let error = budget.request().unwrap_err();
        assert_eq!(error.kind, PortErrorKind::Limit);
        assert!(error.text.contains("`input_requests` of 2"), "{error}");
        budget.bytes(7).unwrap();
        assert!(budget.bytes(4).unwrap_err().text.contains("`input_bytes` of 10"));
        assert!(budget.bytes(1).is_err(), "the last bytes came all the same");
        budget.bytes(0).unwrap();
    }
}
