//! Text of unknown origin, made fit to be shown: bounded, on one line, without control characters.
//!
//! Runners, servers and file names are written by strangers. What they say reaches logs, terminals, error
//! texts and the job server, so it passes through here first. Everything is bounded while it is made: a
//! value whose text would take gigabytes is cut off after the first few bytes, not formatted and then cut.
//!
//! ```
//! use posemesh_text::one_line;
//!
//! assert_eq!(one_line("scan\n2026.ply", 80), r"scan\n2026.ply");
//! assert_eq!(one_line("\u{1b}[31mred", 80), r"\u{1b}[31mred");
//! assert_eq!(one_line("a long name", 6), "a long…");
//! ```
//!
//! Amounts are the other way round: [`ByteSize`] and [`TimeSpan`] read what people write, and show the same words.

mod amount;
mod escape;
mod excerpt;
mod shorten;

pub use amount::{ByteSize, NoAmount, TimeSpan};
pub use escape::{Escaped, escaped, escaped_json, escaped_lines, is_plain, one_line};
pub use excerpt::{EXCERPT_BYTES, REDACTED, excerpt};
pub use shorten::shorten;
