//! Replays every seed of the fuzz targets: what fuzzing found once stays found, without cargo-fuzz.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::panic;
use std::path::Path;

#[path = "../fuzz/src/lib.rs"]
mod properties;

/// Calls `holds` with each file of the target's seeds, and names those that fail.
fn replay(target: &str, holds: fn(&[u8])) {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut files: Vec<_> = fs::read_dir(&seeds).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "no seeds in {}", seeds.display());
    let failed = |file: &&std::path::PathBuf| {
        let seed = fs::read(file).unwrap();
        panic::catch_unwind(|| holds(&seed)).is_err()
    };
    let failures: Vec<_> = files.iter().filter(failed).collect();
    assert!(failures.is_empty(), "{} of {} seeds fail: {failures:#?}", failures.len(), files.len());
}

#[test]
fn every_seed_of_multipart_holds() {
    replay("multipart", properties::multipart::holds);
}

#[test]
fn every_seed_of_disposition_holds() {
    replay("disposition", properties::disposition::holds);
}

#[test]
fn every_seed_of_cid_holds() {
    replay("cid", properties::cid::holds);
}
