//! The node's Unix socket: what commands on this machine ask, without a token.
//!
//! Each process has one of its own, in its private folder below `WORK_DIR`, unless `CONTROL_SOCKET` names a place. The kernel
//! says who connects: the node's own user and root are answered, and nobody else. Two nodes never get into each other's way,
//! and what a dead one left goes with its folder.

mod address;
mod bound;

use std::path::{Path, PathBuf};

use rustix::fs::FileType;

use crate::workdir::CONTROL_SOCKET as NAME;

pub use address::{ShortAddress, SocketPlace};
pub(crate) use bound::{ControlError, ControlSocket};

/// How many folders of processes are looked at.
const MOST_FOLDERS: usize = 1000;

/// The sockets that processes have below this `WORK_DIR`, dead ones too; newest first. Blocks while folders are read; what
/// can't be read has none.
pub fn sockets_below(work_dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(work_dir) else { return Vec::new() };
    let mut found: Vec<_> = entries
        .flatten()
        .take(MOST_FOLDERS)
        .map(|entry| entry.path().join(NAME))
        .filter_map(|path| {
            let stat = rustix::fs::lstat(&path).ok()?;
            (FileType::from_raw_mode(stat.st_mode) == FileType::Socket).then_some((stat.st_ctime, path))
        })
        .collect();
    found.sort();
    found.into_iter().rev().map(|(_, path)| path).collect()
}

#[cfg(test)]
mod tests;
