//! Sandbox processes: what one can do that was taken over, what its lies do to the node, and what lies in its memory.

mod attacks;
mod groups;
mod lies;
mod secrets;
mod signals;
mod taken_over;
