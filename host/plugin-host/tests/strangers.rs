//! What strangers put into `PLUGINS_DIR`: every seed of the fuzz targets, and damaged ones, without cargo-fuzz.
//!
//! The seeds `smith-…` are runners that wasm-smith made. wasm-smith itself is not used here, since its features would
//! have everybody build the engine anew.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::fs;
use std::panic;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[path = "../fuzz/src/lib.rs"]
mod properties;

/// How many damaged ones of each kind are tried.
const DAMAGED: usize = 300;
/// How many places of one are damaged at most.
const PLACES: usize = 6;

fn seeds(target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "no seeds in {}", folder.display());
    files
}

/// Calls `holds` with each seed, and names those that fail.
fn replay(target: &str, holds: fn(&[u8])) {
    let fails = |file: &&PathBuf| {
        let seed = fs::read(file).unwrap();
        panic::catch_unwind(|| holds(&seed)).is_err()
    };
    let files = seeds(target);
    let failures: Vec<_> = files.iter().filter(fails).collect();
    assert!(failures.is_empty(), "{} of {} seeds fail: {failures:#?}", failures.len(), files.len());
}

/// Calls `holds` with a seed in which a few bytes are changed, cut out or doubled; the same for the same number.
fn damage(files: &[PathBuf], number: usize, holds: fn(&[u8])) {
    let mut random = fastrand::Rng::with_seed(number as u64);
    let seed = &files[number % files.len()];
    let mut bytes = fs::read(seed).unwrap();
    for _ in 0..random.usize(1..=PLACES) {
        if bytes.is_empty() {
            break;
        }
        let at = random.usize(..bytes.len());
        match random.u8(..4) {
            0 => bytes[at] ^= 1 << random.u8(..8),
            1 => bytes[at] = random.u8(..),
            2 => drop(bytes.drain(at..(at + random.usize(1..16)).min(bytes.len()))),
            _ => {
                let piece = bytes[at..(at + 8).min(bytes.len())].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
    let held = panic::catch_unwind(|| holds(&bytes));
    assert!(held.is_ok(), "damage {number} of {} does not hold", seed.display());
}

/// Tries `holds` on damaged seeds for as long as `SOAK_SECONDS` says.
fn soak(target: &str, holds: fn(&[u8])) {
    let seconds = std::env::var("SOAK_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let (files, began) = (seeds(target), Instant::now());
    let mut number = DAMAGED;
    while began.elapsed() < Duration::from_secs(seconds) {
        damage(&files, number, holds);
        number += 1;
    }
    println!("{target}: {} damaged seeds in {:?}", number - DAMAGED, began.elapsed());
}

#[test]
fn every_seed_of_a_component_holds() {
    replay("component", properties::component::holds);
}

#[test]
fn damaged_components_are_refused_or_run_and_nothing_else() {
    let files = seeds("component");
    (0..DAMAGED).for_each(|number| damage(&files, number, properties::component::holds));
}

#[test]
fn every_seed_of_a_policy_holds() {
    replay("policy", properties::policy::holds);
}

#[test]
fn damaged_policies_are_read_or_refused_in_words() {
    let files = seeds("policy");
    (0..DAMAGED).for_each(|number| damage(&files, number, properties::policy::holds));
}

#[test]
fn every_seed_of_frames_holds() {
    replay("frames", properties::frames::holds);
}

#[test]
fn damaged_frames_are_taken_or_refused_and_nothing_else() {
    let files = seeds("frames");
    (0..DAMAGED).for_each(|number| damage(&files, number, properties::frames::holds));
}

#[test]
#[ignore = "as long as SOAK_SECONDS says: for machines on which cargo-fuzz can't be built"]
fn soak_frames() {
    soak("frames", properties::frames::holds);
}

#[test]
#[ignore = "as long as SOAK_SECONDS says: for machines on which cargo-fuzz can't be built"]
fn soak_components() {
    soak("component", properties::component::holds);
}

#[test]
#[ignore = "as long as SOAK_SECONDS says: for machines on which cargo-fuzz can't be built"]
fn soak_policies() {
    soak("policy", properties::policy::holds);
}
