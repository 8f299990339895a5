//! The data of all domains: metadata in memory and in one index file, contents as blobs.
//!
//! A blob is written once and never changed: an update writes a new one and removes the old one. So a
//! download in progress reads the content that it began with, whatever happens to the data meanwhile.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use crate::error::DevnetError;
use crate::state::blob::{BlobDirectory, BlobWriter, StagedBlob};
use crate::state::item::{DataItem, StoredItem};
use crate::state::items::DomainItems;

/// Why data could not be created or updated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreError {
    NameTaken,
    UnknownId,
}

/// New data, whose content is already in the blob.
#[derive(Debug)]
pub(crate) struct NewData {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) data_type: String,
    pub(crate) blob: StagedBlob,
    /// Size of the content in bytes.
    pub(crate) size: u64,
}

/// New content for existing data, already in the blob.
#[derive(Debug)]
pub(crate) struct NewContent {
    pub(crate) id: Uuid,
    pub(crate) blob: StagedBlob,
    /// Size of the content in bytes.
    pub(crate) size: u64,
}

/// The items of each domain.
type DomainIndex = BTreeMap<Uuid, DomainItems>;

#[derive(Debug)]
pub(crate) struct DataStore {
    blobs: BlobDirectory,
    index_path: PathBuf,
    index: Mutex<DomainIndex>,
    /// Counts the changes of `index`.
    version: AtomicU64,
    /// The version in the index file; locked while that is written.
    saved_version: tokio::sync::Mutex<u64>,
}

impl DataStore {
    /// Opens a data directory, with the data that an earlier run has left there.
    pub(crate) async fn open(root: &Path) -> Result<Self, DevnetError> {
        let blobs_path = root.join("blobs");
        let blobs = BlobDirectory::open(blobs_path.clone()).await;
        let blobs = blobs.map_err(DevnetError::file("create", blobs_path))?;
        let index_path = root.join("index.json");
        let index: DomainIndex = match tokio::fs::read(&index_path).await {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| DevnetError::State {
                path: index_path.clone(),
                reason: error.to_string(),
            })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => DomainIndex::new(),
            Err(error) => return Err(DevnetError::file("read", index_path)(error)),
        };
        let known: Vec<Uuid> = index.values().flat_map(DomainItems::iter).map(|stored| stored.blob).collect();
        blobs.sweep(&known).await.map_err(DevnetError::file("sweep", blobs.path()))?;
        Ok(Self {
            blobs,
            index_path,
            index: Mutex::new(index),
            version: AtomicU64::new(0),
            saved_version: tokio::sync::Mutex::new(0),
        })
    }

    fn index(&self) -> MutexGuard<'_, DomainIndex> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be called while `index` is still locked, so that [`Self::save`] sees both or neither.
    fn count_change(&self) {
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    /// The file with the content of an item.
    pub(crate) fn path_of(&self, stored: &StoredItem) -> PathBuf {
        self.blobs.path_of(stored.blob)
    }

    pub(crate) fn has_domain(&self, domain: Uuid) -> bool {
        self.index().contains_key(&domain)
    }

    pub(crate) fn add_domain(&self, domain: Uuid) {
        let mut index = self.index();
        index.entry(domain).or_default();
        self.count_change();
    }

    /// The items of a domain that match, in the order of their creation.
    pub(crate) fn find(&self, domain: Uuid, matches: impl Fn(&DataItem) -> bool) -> Vec<StoredItem> {
        let index = self.index();
        let items = index.get(&domain).into_iter().flat_map(DomainItems::iter);
        items.filter(|stored| matches(&stored.item)).cloned().collect()
    }

    /// The items of a domain with one of these ids that match, in the order of their creation.
    pub(crate) fn find_ids(
        &self,
        domain: Uuid,
        ids: &[Uuid],
        matches: impl Fn(&DataItem) -> bool,
    ) -> Vec<StoredItem> {
        let index = self.index();
        let items = index.get(&domain).into_iter().flat_map(|items| items.get_all(ids));
        items.filter(|stored| matches(&stored.item)).cloned().collect()
    }

    pub(crate) fn get(&self, domain: Uuid, id: Uuid) -> Option<StoredItem> {
        self.index().get(&domain)?.get(id).cloned()
    }

    /// Finds an item in any domain.
    pub(crate) fn locate(&self, id: Uuid) -> Option<StoredItem> {
        self.index().values().find_map(|items| items.get(id)).cloned()
    }

    /// Creates a file to write the content of new or existing data to.
    pub(crate) async fn stage(&self) -> io::Result<(StagedBlob, BlobWriter)> {
        self.blobs.stage().await
    }

    /// Adds data: all of it, or none if a name exists already or occurs twice.
    pub(crate) fn create(
        &self,
        domain: Uuid,
        all: Vec<NewData>,
        now: &str,
    ) -> Result<Vec<DataItem>, StoreError> {
        let mut index = self.index();
        let items = index.entry(domain).or_default();
        for (position, new) in all.iter().enumerate() {
            let mut before = all.iter().take(position);
            if items.iter().any(|stored| stored.item.name == new.name)
                || before.any(|other| other.name == new.name)
            {
                return Err(StoreError::NameTaken);
            }
        }
        let mut created = Vec::new();
        for new in all {
            let item = DataItem {
                id: new.id,
                domain_id: domain,
                name: new.name,
                data_type: new.data_type,
                size: new.size,
                created_at: now.to_owned(),
                updated_at: now.to_owned(),
            };
            created.push(item.clone());
            items.push(StoredItem { item, blob: new.blob.keep() });
        }
        self.count_change();
        Ok(created)
    }

    /// Replaces the content of data: of all, or of none if an id is unknown. Names and types stay.
    pub(crate) fn update(
        &self,
        domain: Uuid,
        all: Vec<NewContent>,
        now: &str,
    ) -> Result<Vec<DataItem>, StoreError> {
        let mut index = self.index();
        let items = index.entry(domain).or_default();
        if all.iter().any(|new| items.get(new.id).is_none()) {
            return Err(StoreError::UnknownId);
        }
        let mut updated = Vec::new();
        for new in all {
            let Some(stored) = items.get_mut(new.id) else { continue };
            stored.item.size = new.size;
            stored.item.updated_at = now.to_owned();
            // A download that has the old file open reads on: removing it only removes its name.
            let old = std::mem::replace(&mut stored.blob, new.blob.keep());
            drop(self.blobs.staged(old));
            updated.push(stored.item.clone());
        }
        self.count_change();
        Ok(updated)
    }

    /// Removes data; false if there is none.
    pub(crate) fn delete(&self, domain: Uuid, id: Uuid) -> bool {
        let mut index = self.index();
        let Some(items) = index.get_mut(&domain) else { return false };
        let Some(stored) = items.remove(id) else { return false };
        drop(self.blobs.staged(stored.blob));
        self.count_change();
        true
    }

    /// Writes the index file, unless it has the latest change already.
    pub(crate) async fn save(&self) -> io::Result<()> {
        let wanted = self.version.load(Ordering::Acquire);
        let mut saved = self.saved_version.lock().await;
        // Another request may have saved this change with its own, while this one waited for the lock.
        if *saved >= wanted {
            return Ok(());
        }
        let (version, bytes) = {
            let index = self.index();
            // Read while the index is locked, so that version and content belong together.
            (self.version.load(Ordering::Acquire), serde_json::to_vec_pretty(&*index)?)
        };
        // Replaced in one step, so that a crash leaves the old index or the new one.
        let fresh = self.index_path.with_extension("json.new");
        tokio::fs::write(&fresh, bytes).await?;
        tokio::fs::rename(&fresh, &self.index_path).await?;
        *saved = version;
        Ok(())
    }
}
