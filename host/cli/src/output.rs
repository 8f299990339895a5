//! What the commands print: the one way to standard output and standard error.
//!
//! Nothing here panics, whatever becomes of the descriptor. A reader that has gone away (`| head`, `| true`) is
//! no failure: what would be printed is dropped, and the command goes on to its end and its exit code. Any
//! other failure, such as a full disk, is remembered, and [`finish`] turns it into an error. Terminals obey
//! nothing that is printed: control characters are escaped.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, bail};
use posemesh_text::{escaped_json, escaped_lines};
use serde::Serialize;

/// Prints a line, or several, to standard output. A value of unknown origin may bring line breaks: pass it
/// through [`posemesh_text::escaped`].
macro_rules! out {
    ($($text:tt)*) => { $crate::output::print(format_args!($($text)*)) };
}

/// The same for standard error.
macro_rules! tell {
    ($($text:tt)*) => { $crate::output::tell_line(format_args!($($text)*)) };
}

pub(crate) use {out, tell};

/// What became of standard output.
static STDOUT: Mutex<State> = Mutex::new(State::Open);

enum State {
    Open,
    /// Nobody reads it any more.
    Closed,
    /// Why it takes no more.
    Failed(io::Error),
}

/// Prints text to standard output, and a line break.
pub(crate) fn print(text: fmt::Arguments<'_>) {
    let text = text.to_string();
    raw(format!("{}\n", escaped_lines(&text)).as_bytes());
}

/// Prints JSON to standard output, and a line break. It stays JSON, and nothing in it is obeyed by a terminal.
///
/// # Errors
/// When the value can't be JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    raw(format!("{}\n", escaped_json(&text)).as_bytes());
    Ok(())
}

/// Writes text of our own to standard output as it is.
pub(crate) fn raw(text: &[u8]) {
    note(|out| out.write_all(text));
}

/// Prints text to standard error, and a line break. If that fails there is nobody to be told.
pub(crate) fn tell_line(text: fmt::Arguments<'_>) {
    let text = text.to_string();
    let _ = io::stderr().lock().write_all(format!("{}\n", escaped_lines(&text)).as_bytes());
}

/// Prints what the parser of the command line has to say: help, the version, or what is wrong with the
/// arguments; the exit code of that.
pub(crate) fn arguments(message: &clap::Error) -> ExitCode {
    if message.use_stderr() {
        let _ = message.print();
    } else {
        note(|_| message.print());
    }
    u8::try_from(message.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from)
}

/// Says whether everything reached standard output so far, or its reader did not want it.
///
/// # Errors
/// When writing failed.
pub(crate) fn check() -> Result<()> {
    note(|out| out.flush());
    match &*STDOUT.lock().unwrap_or_else(PoisonError::into_inner) {
        State::Failed(error) => bail!("writing to standard output: {error}"),
        State::Open | State::Closed => Ok(()),
    }
}

/// Whether nobody reads standard output any more.
pub(crate) fn is_closed() -> bool {
    matches!(*STDOUT.lock().unwrap_or_else(PoisonError::into_inner), State::Closed)
}

/// The exit code of a command that ended with `code`: 1 if its output is not complete.
pub(crate) fn finish(code: ExitCode) -> ExitCode {
    match check() {
        Ok(()) => code,
        Err(error) => {
            tell!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Uses standard output, unless that failed before, and remembers how it went.
fn note(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) {
    let mut state = STDOUT.lock().unwrap_or_else(PoisonError::into_inner);
    if !matches!(*state, State::Open) {
        return;
    }
    // Not locked: the parser of the command line takes the lock itself.
    let mut out = io::stdout();
    match write(&mut out).and_then(|()| out.flush()) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => *state = State::Closed,
        Err(error) => *state = State::Failed(error),
    }
}
