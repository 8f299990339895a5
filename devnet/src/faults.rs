//! Injected failures that make the devnet answer wrongly, late, partially or not at all.
//!
//! `fault` describes one, `rules` selects those that hit a request, `apply` puts them into effect, with the
//! help of `body` where the body of an answer changes.

pub(crate) mod apply;
mod body;
pub(crate) mod fault;
pub(crate) mod rules;
