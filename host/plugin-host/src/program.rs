//! The program that a node starts once more, to compile and to run components in processes of their own.

use std::path::PathBuf;

/// This very program, even when its file has been replaced since it was started: a newer compiler's code
/// would not fit.
pub(crate) fn own_program() -> Option<PathBuf> {
    let linux = PathBuf::from("/proc/self/exe");
    if linux.exists() { Some(linux) } else { std::env::current_exe().ok() }
}
