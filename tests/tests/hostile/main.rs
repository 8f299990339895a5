//! Runners that mean harm, or only make mistakes: each behaviour is one small component, run by a real
//! node for a devnet. Each must end by its named reason, and meanwhile the node goes on, a well-behaved
//! neighbour finishes, and heartbeats keep their rhythm.
//!
//! Behaviours share a node with others of their group; the test of a group runs all of them and then
//! says which went wrong, and how.

mod floods;
mod load;
mod memory;
mod pen;
mod secrets;
mod time;
