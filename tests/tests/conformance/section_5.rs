//! Section 5: one task from lease to end, cancellation, and shutdown.

mod cycle;
mod shutdown;
