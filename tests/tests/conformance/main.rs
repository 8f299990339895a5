//! The wire contract, section by section: what the node sends, what it does next after each answer, when,
//! and how often. The node is the binary; the servers are a devnet whose answers are on order.
//!
//! A test is named after the section that it proves. Times are scaled by the node's own variables; that
//! the long schedules are kept is proved on virtual time, beside the code.

mod section_1;
mod section_2;
mod section_3;
mod section_4;
mod section_5;
mod section_6;
mod section_8;
