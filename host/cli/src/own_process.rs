//! What keeps the node's own process from others: its memory holds a private key, tokens and other people's data.

use posemesh_node_core::config::hide_secrets;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Makes the process one that nobody but root looks into, and that leaves no core dump; takes the secrets out of its
/// environment, for which it starts the program anew. To be called before anything else is done.
///
/// Returns what could not be had, for the log: a node that runs without is better than none.
pub(crate) fn protect() -> Vec<String> {
    let mut missing = Vec::new();
    // Both: the limit is kept by what this process starts, and a kernel that pipes core dumps to a program ignores it.
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        missing.push(format!("core dumps of the node could not be turned off: {error}"));
    }
    // Not dumpable: no process of the same user reads its memory, descriptors or environment, nor traces it.
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        missing.push(format!("other processes of this user may look into the node: {error}"));
    }
    if let Err(error) = hide_secrets() {
        missing.push(error.to_string());
    }
    missing
}
