//! Guests that attack the node, or only have bugs: each is one small component with one behaviour.
//!
//! Most run in a real node for a devnet. Each must end for the expected reason; meanwhile the node keeps
//! working, a neighbour task completes, and heartbeats stay regular. Behaviours of a group share a node, and
//! the group's test runs all of them before it reports every difference. Where a guest makes the host hold something, what
//! the node and its processes take of the machine is measured meanwhile ([`usage`]). [`plugin_run`] runs guests without a
//! node, [`covered`] makes sure that each has a test.

mod cases;
mod check;
mod covered;
mod debug_info;
mod floods;
mod holdings;
mod load;
mod memory;
mod names;
mod older;
mod plugin_run;
mod reach;
mod readme;
mod scratch;
mod secrets;
mod shared_node;
mod temporary;
mod time;
mod usage;
mod versioned;
