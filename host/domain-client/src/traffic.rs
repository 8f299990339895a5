//! What a task has transferred: bytes over the network, and the parts and artifacts that were complete.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use posemesh_runner_api::ports::{Artifact, PartInfo};
use posemesh_text::shorten;
use serde::Serialize;

/// Parts, and artifacts, that are listed; further ones are only counted, so that a record stays small.
const LISTED: usize = 32;
/// How much of a name, a type or an id is listed, in bytes: servers give what they like.
const MAX_LISTED_NAME: usize = 256;

/// A part that was read to its end, or an artifact that was stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TransferredData {
    /// Data id in the domain, if the server said it.
    pub id: Option<String>,
    /// Name in the domain.
    pub name: String,
    /// Type in the domain.
    pub data_type: String,
    /// Size in bytes.
    pub size: u64,
    /// SHA-256 of the bytes in lower-case hex, computed while they were transferred.
    pub sha256: String,
}

/// The first of the transferred items, and their number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TransferList {
    /// Number of all items.
    pub count: u64,
    /// The first 32 items.
    pub first: Vec<TransferredData>,
}

impl TransferList {
    fn add(&mut self, item: impl FnOnce() -> TransferredData) {
        self.count += 1;
        if self.first.len() < LISTED {
            let mut item = item();
            for text in [&mut item.name, &mut item.data_type] {
                *text = shorten(text, MAX_LISTED_NAME).into_owned();
            }
            item.id = item.id.map(|id| shorten(&id, MAX_LISTED_NAME).into_owned());
            self.first.push(item);
        }
    }
}

/// A task's transfers at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TrafficView {
    /// Bytes of downloads that arrived.
    pub bytes_in: u64,
    /// Bytes of request bodies that were handed to the network.
    pub bytes_out: u64,
    /// Parts of inputs that were read to their ends.
    pub inputs: TransferList,
    /// Artifacts that were stored.
    pub artifacts: TransferList,
}

/// Counts one task's transfers as they happen, for the task's record and for metrics.
///
/// Bytes are those on the network: what a retry sends or fetches again counts again.
#[derive(Debug, Default)]
pub struct Traffic {
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    /// Complete inputs and complete artifacts.
    complete: Mutex<(TransferList, TransferList)>,
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

    /// All counters and lists at this moment.
    pub fn view(&self) -> TrafficView {
        // Each of the two lists only grows, so what a panic left behind is still worth reporting.
        let (inputs, artifacts) = self.complete.lock().unwrap_or_else(PoisonError::into_inner).clone();
        TrafficView { bytes_in: self.bytes_in(), bytes_out: self.bytes_out(), inputs, artifacts }
    }

    pub(crate) fn received(&self, bytes: usize) {
        // Relaxed: the counters are read for reports only, and nothing else is ordered by them.
        self.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn sent(&self, bytes: usize) {
        self.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn read(&self, part: &PartInfo, sha256: String) {
        let item = || {
            let PartInfo { data_id, name, data_type, size, .. } = part.clone();
            TransferredData { id: Some(data_id), name, data_type, size, sha256 }
        };
        self.complete.lock().unwrap_or_else(PoisonError::into_inner).0.add(item);
    }

    /// Whether the next part that is read to its end will be listed.
    pub(crate) fn lists_parts(&self) -> bool {
        self.complete.lock().unwrap_or_else(PoisonError::into_inner).0.first.len() < LISTED
    }

    pub(crate) fn stored(&self, artifact: &Artifact) {
        let item = || {
            let Artifact { id, name, data_type, size, sha256, .. } = artifact.clone();
            TransferredData { id, name, data_type, size, sha256 }
        };
        self.complete.lock().unwrap_or_else(PoisonError::into_inner).1.add(item);
    }
}

/// Whether the runner reads an input: what is fetched ahead of it has crossed the network, and was not read.
#[derive(Debug)]
pub(crate) struct InputReading(Mutex<Option<Vec<(PartInfo, String)>>>);

impl Default for InputReading {
    fn default() -> Self {
        Self(Mutex::new(Some(Vec::new())))
    }
}

impl InputReading {
    /// The runner has it from now on.
    pub(crate) fn begin(&self, traffic: &Traffic) {
        let ended = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        for (part, sha256) in ended.into_iter().flatten() {
            traffic.read(&part, sha256);
        }
    }

    /// A part has come whole.
    pub(crate) fn part_ended(&self, traffic: &Traffic, part: PartInfo, sha256: String) {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(ended) => ended.push((part, sha256)),
            None => traffic.read(&part, sha256),
        }
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
            name: "scan".repeat(10_000),
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
        assert!(view.inputs.first.iter().all(|item| item.name.len() <= MAX_LISTED_NAME));
        assert_eq!(view.artifacts, TransferList::default());
    }
}
