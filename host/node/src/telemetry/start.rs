//! What is told before there is a log, or when there will be none: in the form of the log all the same, so that whoever
//! reads it need not understand two.

use std::io::{self, Write as _};
use std::panic::PanicHookInfo;

use posemesh_text::one_line;
use serde_json::{Map, Value};

use tracing::Level;

use super::format::{LogFormat, line};
use super::priority;

/// How many bytes of a panic's message are told.
const MAX_PANIC_BYTES: usize = 1000;

/// Writes an error to standard error as a line of the log.
pub fn tell_start_error(format: LogFormat, message: &str, fields: Map<String, Value>) {
    let line = line(format, "ERROR", "posemesh_node", message, fields);
    let mut stderr = io::stderr().lock();
    let before = if priority::is_wanted_by(&stderr) { priority::prefix(Level::ERROR) } else { b"" };
    // There is nobody to be told when this fails.
    let _ = stderr.write_all(&[before, line.as_bytes()].concat());
}

/// Has panics told in the form of the log from now on, until [`init`](super::init) takes over.
pub fn tell_panics(format: LogFormat) {
    std::panic::set_hook(Box::new(move |panic| {
        let (message, at) = panic_text(panic);
        tell_start_error(format, &message, Map::from_iter([("at".to_owned(), at.into())]));
    }));
}

/// What a panic says, and where it was.
pub(super) fn panic_text(panic: &PanicHookInfo<'_>) -> (String, String) {
    let message = one_line(panic.payload_as_str().unwrap_or("no message"), MAX_PANIC_BYTES);
    let at = panic.location().map(ToString::to_string).unwrap_or_default();
    (format!("a thread of the node panicked: {message}"), at)
}
