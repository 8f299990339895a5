//! The one error, and its way through `std::io::Error` and back.

use std::error::Error as StdError;
use std::fmt::{self, Display};
use std::io;

/// The result of everything here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a task failed, or why the node could not do what was asked of it. The text is for people: what was wrong with
/// what, and where (a line, a byte, a parameter). It becomes the reason in the job server's record.
///
/// A runner makes [`Error::invalid_task`], [`Error::invalid_input`] and [`Error::failed`]; the others come from the node, and
/// are passed on with `?`. They survive a way through [`io::Error`], and through any error that has one as its source:
///
/// ```
/// use posemesh_runner::Error;
///
/// let of_the_node = Error::Unavailable("the domain server answers 503".into());
/// let on_the_way = std::io::Error::from(of_the_node.clone());
/// assert_eq!(Error::from(on_the_way), of_the_node);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The task as submitted can't be done: a parameter is missing or out of range, too few inputs.
    InvalidTask(String),
    /// An input is broken or of a kind that the runner does not read.
    InvalidInput(String),
    /// The runner failed in any other way.
    Failed(String),
    /// There is no such input, part or file.
    NotFound(String),
    /// A call of the node is wrong: a malformed CID or path, a forbidden name. The same call fails again.
    InvalidCall(String),
    /// The domain server or the node does not allow it.
    Denied(String),
    /// A budget of this runner is used up; the text names it.
    Limit(String),
    /// The bytes that came are not what was announced.
    Corrupt(String),
    /// The domain server could not be reached or kept failing; the node has retried before saying so.
    Unavailable(String),
    /// The task is being stopped: return at once.
    Cancelled,
    /// The node could not do it for another reason.
    PortFailed(String),
}

/// What [`Error::failed`] and its like take: a text, or an error of any library.
type Cause = Box<dyn StdError + Send + Sync>;

impl Error {
    /// The task is to blame.
    pub fn invalid_task(cause: impl Into<Cause>) -> Self {
        Self::with(cause.into(), Self::InvalidTask)
    }

    /// An input is to blame. An error of the node among the causes (a download that broke off while a decoder was reading)
    /// is passed on as it was, since then the input is not to blame.
    ///
    /// ```
    /// use posemesh_runner::Error;
    ///
    /// let error = Error::invalid_input("line 7: expected 3 numbers");
    /// assert_eq!(error.to_string(), "line 7: expected 3 numbers");
    /// ```
    pub fn invalid_input(cause: impl Into<Cause>) -> Self {
        Self::with(cause.into(), Self::InvalidInput)
    }

    /// The runner failed. An error of the node among the causes is passed on as it was.
    pub fn failed(cause: impl Into<Cause>) -> Self {
        Self::with(cause.into(), Self::Failed)
    }

    fn with(cause: Cause, otherwise: impl FnOnce(String) -> Self) -> Self {
        Self::inside(&*cause).unwrap_or_else(|| otherwise(chain(&*cause)))
    }

    /// The error of this type that is among the causes of another, or inside the I/O error that is.
    fn inside(error: &(dyn StdError + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(ours) = error.downcast_ref::<Self>() {
                return Some(ours.clone());
            }
            // An I/O error names the source of what it holds as its own, and not what it holds.
            let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
            next = match held {
                Some(held) => Some(held as &(dyn StdError + 'static)),
                None => error.source(),
            };
        }
        None
    }

    fn text(&self) -> &str {
        match self {
            Self::InvalidTask(text)
            | Self::InvalidInput(text)
            | Self::Failed(text)
            | Self::NotFound(text)
            | Self::InvalidCall(text)
            | Self::Denied(text)
            | Self::Limit(text)
            | Self::Corrupt(text)
            | Self::Unavailable(text)
            | Self::PortFailed(text) => text,
            Self::Cancelled => "the task was cancelled",
        }
    }
}

/// An error with its causes, each once: many errors repeat their source in their own text.
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
        source = error.source();
    }
    text
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl StdError for Error {}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::InvalidTask(_) | Error::InvalidCall(_) => io::ErrorKind::InvalidInput,
            Error::InvalidInput(_) | Error::Corrupt(_) => io::ErrorKind::InvalidData,
            Error::NotFound(_) => io::ErrorKind::NotFound,
            Error::Denied(_) => io::ErrorKind::PermissionDenied,
            Error::Limit(_) => io::ErrorKind::QuotaExceeded,
            // Never `Interrupted`: readers try such a call again.
            Error::Failed(_) | Error::Unavailable(_) | Error::Cancelled | Error::PortFailed(_) => {
                io::ErrorKind::Other
            }
        };
        Self::new(kind, error)
    }
}

/// An error of the node comes out as it was; any other one is a failure of the runner.
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::failed(error)
    }
}

/// An error of the node comes out as it was; JSON that can't be read is an invalid input.
impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        if error.is_io() { io::Error::from(error).into() } else { Self::invalid_input(error) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Read;

    use super::*;

    /// A decoder's error, as many libraries have them.
    #[derive(Debug)]
    struct Decoding(io::Error);

    impl Display for Decoding {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("decoding")
        }
    }

    impl StdError for Decoding {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn an_error_of_the_node_comes_whole_out_of_whatever_it_was_wrapped_in() {
        let ours = || Error::Unavailable("503".into());
        assert_eq!(Error::from(io::Error::other(io::Error::from(ours()))), ours());
        assert_eq!(Error::invalid_input(Decoding(ours().into())), ours());
        assert_eq!(Error::failed(ours()), ours());
    }

    #[test]
    fn any_other_error_is_told_with_its_causes() {
        let error = Decoding(io::Error::other("byte 7 is no digit"));
        assert_eq!(Error::invalid_input(error), Error::InvalidInput("decoding: byte 7 is no digit".into()));
        assert_eq!(Error::from(io::Error::other("x")), Error::Failed("x".into()));
    }

    #[test]
    fn json_that_breaks_off_is_an_input_and_json_whose_stream_fails_is_not() {
        struct Failing;
        impl Read for Failing {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(Error::Cancelled.into())
            }
        }
        let broken = serde_json::from_str::<u8>("{").unwrap_err();
        assert!(matches!(Error::from(broken), Error::InvalidInput(text) if text.contains("line 1")));
        let stopped = serde_json::from_reader::<_, u8>(Failing).unwrap_err();
        assert_eq!(Error::from(stopped), Error::Cancelled);
    }
}
