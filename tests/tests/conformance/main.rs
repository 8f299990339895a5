//! The wire contract, section by section: what the node sends, when and how often, and what it does after each
//! answer. The node is the binary; the servers are a devnet whose answers the tests choose.
//!
//! A test is named after the section that it proves. Times are shortened by the node's own settings; the
//! long schedules are tested with paused time, beside the code.

mod section_1;
mod section_2;
mod section_3;
mod section_4;
mod section_5;
mod section_6;
mod section_8;
