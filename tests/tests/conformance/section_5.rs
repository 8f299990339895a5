//! Section 5: one task from lease to end, cancellation, and the end of the node.

mod cycle;
mod shutdown;
