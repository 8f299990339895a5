//! Sandbox processes: what one can do that was taken over, what its lies do to the node, and what lies in its memory.

mod attacks;
mod groups;
mod lies;
mod secrets;
mod signals;
mod taken_over;

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

/// This process. Some tests measure its memory and its descriptors, which the others change.
static PROCESS: RwLock<()> = RwLock::const_new(());

/// For a test that measures the process: until this is dropped it runs alone.
async fn alone() -> RwLockWriteGuard<'static, ()> {
    PROCESS.write().await
}

/// For every other test.
async fn beside_others() -> RwLockReadGuard<'static, ()> {
    PROCESS.read().await
}
