//! Generations of one runner without a build for each: the version is written into the bytes of the guest
//! `versioned`.

use std::path::Path;

use crate::guests::VERSIONED;

/// What a version does with each task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Does {
    /// Sleeps for `meta.sleep_ms` and completes, or fails if `meta.fail` is above 0.
    Work,
    /// Sleeps for `meta.sleep_ms` and fails.
    Fail,
}

const MARK: &[u8] = b"posemesh-version:1.0.1000000;work;swap-00";

/// Capability of all versions with this suffix: `/posemesh/test/swap-07/v1`.
pub fn capability(suffix: u8) -> String {
    format!("/posemesh/test/swap-{suffix:02}/v1")
}

/// The component of version `1.0.NUMBER`, where the number has seven digits.
pub fn versioned(number: u32, does: Does, suffix: u8) -> Vec<u8> {
    assert!((1_000_000..10_000_000).contains(&number) && suffix < 100, "as long as the original");
    let does = if does == Does::Work { "work" } else { "fail" };
    let mark = format!("posemesh-version:1.0.{number};{does};swap-{suffix:02}");
    let mut bytes = VERSIONED.bytes();
    let at = bytes.windows(MARK.len()).position(|window| window == MARK).expect("the mark in the bytes");
    bytes[at..at + MARK.len()].copy_from_slice(mark.as_bytes());
    bytes
}

/// Writes a file as an operator should: under a hidden name, then moved into place, so that a node never sees
/// half of it.
pub fn put(dir: &Path, name: &str, bytes: &[u8]) {
    let beside = dir.join(format!(".{name}.part"));
    std::fs::write(&beside, bytes).expect("written");
    std::fs::rename(&beside, dir.join(name)).expect("moved");
}
