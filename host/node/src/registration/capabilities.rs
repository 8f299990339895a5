//! The capabilities of the live runners, as DDS is informed of them.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::watch;

/// How long capabilities have to stay the same before DDS is informed: several runners that come at once
/// make one registration.
const QUIET_TIME: Duration = Duration::from_millis(500);

/// Waits until there are capabilities, other than the `known` ones, and they have not changed for a moment.
pub(super) async fn capabilities_other_than(
    capabilities: &mut watch::Receiver<BTreeSet<String>>,
    known: Option<&BTreeSet<String>>,
) -> BTreeSet<String> {
    loop {
        let current = capabilities.borrow_and_update().clone();
        if !current.is_empty() && Some(&current) != known {
            // What goes is told at once: until then the job server gives tasks for it.
            if known.is_some_and(|known| current.is_subset(known)) {
                return current;
            }
            match tokio::time::timeout(QUIET_TIME, capabilities.changed()).await {
                // They change again.
                Ok(Ok(())) => continue,
                // Unchanged for long enough, or nobody is left who could change them.
                Ok(Err(_)) | Err(_) => return current,
            }
        }
        if capabilities.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
