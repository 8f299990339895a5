//! Calls of a file system that may never answer, as that of a network whose server is gone.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often it is asked whether the earlier call on a path has ended.
const TURN: Duration = Duration::from_millis(5);

/// Makes calls off the runtime's threads and gives up waiting for them. One call a path at a time: while one hangs,
/// the next waits as long as it may and is refused, so that a file that hangs costs one thread and not one a scan.
#[derive(Debug, Clone, Default)]
pub(crate) struct FileCalls {
    waiting: Arc<Mutex<BTreeSet<PathBuf>>>,
}

/// A call that goes on, until this is dropped.
struct Waiting {
    path: PathBuf,
    calls: FileCalls,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.calls.waiting().remove(&self.path);
    }
}

impl FileCalls {
    /// Makes a call on a path, after any earlier one on it, and waits for it as long as `limit`.
    ///
    /// # Errors
    /// As the call; [`io::ErrorKind::TimedOut`] when it does not end, or an earlier one has not ended yet.
    pub(crate) async fn make<T: Send + 'static>(
        &self,
        path: &Path,
        limit: Duration,
        call: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let silent = |what: String| io::Error::new(io::ErrorKind::TimedOut, what);
        let began = tokio::time::Instant::now();
        // A scan may look at a file while a load reads it: that is over in a moment, unless the file hangs.
        while !self.waiting().insert(path.to_owned()) {
            if began.elapsed() >= limit {
                return Err(silent("an earlier look at it still waits for its file system".to_owned()));
            }
            tokio::time::sleep(TURN).await;
        }
        let waiting = Waiting { path: path.to_owned(), calls: self.clone() };
        let made = tokio::task::spawn_blocking(move || call(&waiting.path));
        match tokio::time::timeout(limit, made).await {
            Ok(made) => made.map_err(io::Error::other)?,
            Err(_) => Err(silent(format!("its file system did not answer within {limit:?}"))),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_call_that_hangs_is_given_up_and_holds_one_thread() {
        let calls = FileCalls::default();
        let (answer, hangs) = mpsc::channel::<()>();
        let (path, short, long) = (Path::new("/stale"), Duration::from_millis(20), Duration::from_secs(60));
        let hanging = move |_: &Path| hangs.recv().map_err(io::Error::other);
        let error = calls.make(path, short, hanging).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let error = calls.make(path, short, |_| Ok(())).await.unwrap_err();
        assert!(error.to_string().contains("still waits"), "{error}");
        calls.make(Path::new("/well"), long, |_| Ok(())).await.unwrap();
        answer.send(()).unwrap();
        while calls.make(path, long, |_| Ok(())).await.is_err() {
            tokio::time::sleep(short).await;
        }
    }
}
