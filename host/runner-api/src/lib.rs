//! What both halves of a node speak: the network half and the wasm half meet here, and nowhere else.

pub mod beside;
pub mod disk;
pub mod failure;
pub mod gathered;
pub mod json_text;
pub mod ports;
pub mod replace;
pub mod reports;
pub mod runner;
pub mod task;
pub mod threads;
