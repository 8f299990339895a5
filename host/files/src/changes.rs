//! Being told of changes of files.

use notify::event::{AccessKind, AccessMode};
use notify::{EventKind, RecommendedWatcher};

/// Watches the folders that it is told, and calls `changed` when something in one of them was made, written, moved or
/// removed, but not when a file was read. It is called by a thread of the watcher, and must not wait.
///
/// # Errors
/// When the system can watch nothing, or has no thread for it.
pub fn watcher(changed: impl Fn() + Send + 'static) -> notify::Result<RecommendedWatcher> {
    // The watcher needs a thread, and panics as it is dropped if it could not start one.
    let thread =
        std::thread::Builder::new().name("watch".to_owned()).spawn(|| {}).map_err(notify::Error::io)?;
    let _ = thread.join();
    notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let is_change = match event.as_ref().map(|event| event.kind) {
            Ok(EventKind::Access(AccessKind::Close(AccessMode::Write))) => true,
            Ok(EventKind::Access(_)) => false,
            Ok(_) | Err(_) => true,
        };
        if is_change {
            changed();
        }
    })
}
