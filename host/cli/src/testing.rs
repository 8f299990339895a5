//! What the tests of this crate share: answers of a node, and pictures of a terminal.

pub(crate) mod golden;
pub(crate) mod sample;
pub(crate) mod svg;
