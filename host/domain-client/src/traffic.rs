//! What a task has moved: bytes over the network, and the parts and artifacts that came through whole.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use posemesh_runner_api::ports::{Artifact, PartInfo};

/// How many parts, and how many artifacts, are listed; the others are counted.
const LISTED: usize = 32;

/// A part that was read to its end, or an artifact that was stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moved {
    /// Its id in the domain, if the server told it.
    pub id: Option<String>,
    /// Its name in the domain.
    pub name: String,
    /// Its kind.
    pub data_type: String,
    /// Its bytes.
    pub size: u64,
    /// SHA-256 of its bytes, in lower-case hex, computed as they passed.
    pub sha256: String,
}

/// The first of many, and how many there were.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// How many there were.
    pub count: u64,
    /// The first 32 of them.
    pub first: Vec<Moved>,
}

impl Listed {
    fn add(&mut self, moved: Moved) {
        self.count += 1;
        if self.first.len() < LISTED {
            self.first.push(moved);
        }
    }
}

/// Where a task's transfers stand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TrafficView {
    /// Bytes of downloads that arrived.
    pub bytes_in: u64,
    /// Bytes of request bodies that were handed to the network.
    pub bytes_out: u64,
    /// Parts of inputs that were read to their ends.
    pub inputs: Listed,
    /// Artifacts that were stored.
    pub artifacts: Listed,
}

/// Counts one task's transfers as they pass, for its record, for metrics and for the log.
///
/// Bytes are those on the network: what a retry sends or fetches again counts again.
#[derive(Debug, Default)]
pub struct Traffic {
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    /// Inputs and artifacts.
    whole: Mutex<(Listed, Listed)>,
}

impl Traffic {
    /// Bytes of downloads that arrived so far.
    pub fn bytes_in(&self) -> u64 {
        self.bytes_in.load(Ordering::Relaxed)
    }

    /// Bytes of request bodies that were handed to the network so far.
    pub fn bytes_out(&self) -> u64 {
        self.bytes_out.load(Ordering::Relaxed)
    }

    /// All of it, as it stands now.
    pub fn view(&self) -> TrafficView {
        let (inputs, artifacts) = self.whole.lock().unwrap_or_else(PoisonError::into_inner).clone();
        TrafficView { bytes_in: self.bytes_in(), bytes_out: self.bytes_out(), inputs, artifacts }
    }

    pub(super) fn received(&self, bytes: usize) {
        self.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn read(&self, part: &PartInfo, sha256: String) {
        let PartInfo { data_id, name, data_type, size, .. } = part.clone();
        let moved = Moved { id: Some(data_id), name, data_type, size, sha256 };
        self.whole.lock().unwrap_or_else(PoisonError::into_inner).0.add(moved);
    }

    pub(super) fn stored(&self, artifact: &Artifact) {
        let Artifact { id, name, data_type, size, sha256, .. } = artifact.clone();
        let moved = Moved { id, name, data_type, size, sha256 };
        self.whole.lock().unwrap_or_else(PoisonError::into_inner).1.add(moved);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_with_many_parts_has_a_record_of_bounded_size() {
        let traffic = Traffic::default();
        let part = PartInfo {
            data_id: "id".to_owned(),
            name: "scan".to_owned(),
            data_type: "ply".to_owned(),
            size: 3,
            domain_id: String::new(),
            created_at: None,
            updated_at: None,
        };
        for _ in 0..LISTED + 5 {
            traffic.read(&part, "ab".to_owned());
        }
        let view = traffic.view();
        assert_eq!((view.inputs.count, view.inputs.first.len()), (LISTED as u64 + 5, LISTED));
        assert_eq!(view.artifacts, Listed::default());
    }
}
