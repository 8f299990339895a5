//! Where blobs lie: one file each in `blobs`, and one index with the metadata of all.
//!
//! A blob's file is written once, under its own name, and belongs to the index or goes. So a download
//! that is under way reads what was there when it began, whatever happens to the data meanwhile.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::fs::File;
use uuid::Uuid;

use crate::error::DevnetError;

/// What is known of domain data (protocol 6.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataItem {
    /// Its id.
    pub id: Uuid,
    /// Its domain.
    pub domain_id: Uuid,
    /// Its name, unique in the domain.
    pub name: String,
    /// Its kind.
    pub data_type: String,
    /// Its bytes.
    pub size: u64,
    /// When it was made (RFC 3339).
    pub created_at: String,
    /// When its content last changed (RFC 3339).
    pub updated_at: String,
}

/// An item and the file that has its bytes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Stored {
    #[serde(flatten)]
    pub(crate) item: DataItem,
    blob: Uuid,
}

/// A blob that is being written; its file goes unless it is taken into the index.
#[derive(Debug)]
pub(crate) struct Staged {
    blob: Uuid,
    path: PathBuf,
    taken: bool,
}

impl Staged {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if !self.taken {
            // Nothing is waiting for it, and a file that stays is swept at the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Why data could not be taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conflict {
    NameTaken,
    UnknownId,
}

type Domains = BTreeMap<Uuid, Vec<Stored>>;

#[derive(Debug)]
pub(crate) struct Store {
    root: PathBuf,
    domains: Mutex<Domains>,
    /// Counts the changes of `domains`.
    version: AtomicU64,
    /// Which version the index file has; held while it is written.
    saved: tokio::sync::Mutex<u64>,
}

impl Store {
    /// Opens the directory, with what an earlier run has left there.
    pub(crate) async fn open(root: &Path) -> Result<Self, DevnetError> {
        let blobs = root.join("blobs");
        tokio::fs::create_dir_all(&blobs).await.map_err(DevnetError::file("create", &blobs))?;
        let index = root.join("index.json");
        let domains: Domains = match tokio::fs::read(&index).await {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|error| DevnetError::State { path: index, reason: error.to_string() })?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Domains::new(),
            Err(error) => return Err(DevnetError::file("read", index)(error)),
        };
        let store = Self {
            root: root.to_owned(),
            domains: Mutex::new(domains),
            version: AtomicU64::new(0),
            saved: tokio::sync::Mutex::new(0),
        };
        store.sweep_blobs(&blobs).await.map_err(DevnetError::file("sweep", &blobs))?;
        Ok(store)
    }

    /// Removes files that an interrupted upload has left.
    async fn sweep_blobs(&self, blobs: &Path) -> io::Result<()> {
        let known: Vec<PathBuf> =
            self.domains().values().flatten().map(|stored| self.blob_path(stored.blob)).collect();
        let mut files = tokio::fs::read_dir(blobs).await?;
        while let Some(file) = files.next_entry().await? {
            if !known.contains(&file.path()) {
                tokio::fs::remove_file(file.path()).await?;
            }
        }
        Ok(())
    }

    fn domains(&self) -> MutexGuard<'_, Domains> {
        self.domains.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn blob_path(&self, blob: Uuid) -> PathBuf {
        self.root.join("blobs").join(blob.to_string())
    }

    pub(crate) fn path_of(&self, stored: &Stored) -> PathBuf {
        self.blob_path(stored.blob)
    }

    pub(crate) fn has_domain(&self, domain: Uuid) -> bool {
        self.domains().contains_key(&domain)
    }

    pub(crate) fn add_domain(&self, domain: Uuid) {
        self.domains().entry(domain).or_default();
        self.version.fetch_add(1, Ordering::AcqRel);
    }

    /// The items of a domain for which `wanted` holds, in the order of their creation.
    pub(crate) fn find(&self, domain: Uuid, wanted: impl Fn(&DataItem) -> bool) -> Vec<Stored> {
        let domains = self.domains();
        let items = domains.get(&domain).map(Vec::as_slice).unwrap_or_default();
        items.iter().filter(|stored| wanted(&stored.item)).cloned().collect()
    }

    pub(crate) fn get(&self, domain: Uuid, id: Uuid) -> Option<Stored> {
        self.find(domain, |item| item.id == id).pop()
    }

    /// Looks an id up in all domains.
    pub(crate) fn locate(&self, id: Uuid) -> Option<Stored> {
        self.domains().values().flatten().find(|stored| stored.item.id == id).cloned()
    }

    /// Begins a blob.
    pub(crate) async fn stage(&self) -> io::Result<(Staged, File)> {
        let blob = Uuid::new_v4();
        let path = self.blob_path(blob);
        let file = File::create_new(&path).await?;
        Ok((Staged { blob, path, taken: false }, file))
    }

    /// Takes new data in: all of it or none. The names must be new and differ.
    pub(crate) fn create(
        &self,
        domain: Uuid,
        uploads: Vec<Upload>,
        now: &str,
    ) -> Result<Vec<DataItem>, Conflict> {
        let mut domains = self.domains();
        let items = domains.entry(domain).or_default();
        for (place, upload) in uploads.iter().enumerate() {
            let mut before = uploads.iter().take(place);
            if items.iter().any(|stored| stored.item.name == upload.name)
                || before.any(|other| other.name == upload.name)
            {
                return Err(Conflict::NameTaken);
            }
        }
        let mut made = Vec::new();
        for mut upload in uploads {
            let item = DataItem {
                id: upload.id,
                domain_id: domain,
                name: upload.name,
                data_type: upload.data_type,
                size: upload.size,
                created_at: now.to_owned(),
                updated_at: now.to_owned(),
            };
            upload.staged.taken = true;
            made.push(item.clone());
            items.push(Stored { item, blob: upload.staged.blob });
        }
        self.version.fetch_add(1, Ordering::AcqRel);
        Ok(made)
    }

    /// Replaces the bytes of data: of all or of none. Names and types stay.
    pub(crate) fn update(
        &self,
        domain: Uuid,
        updates: Vec<Update>,
        now: &str,
    ) -> Result<Vec<DataItem>, Conflict> {
        let mut domains = self.domains();
        let items = domains.entry(domain).or_default();
        if updates.iter().any(|update| !items.iter().any(|stored| stored.item.id == update.id)) {
            return Err(Conflict::UnknownId);
        }
        let mut made = Vec::new();
        for mut update in updates {
            let Some(stored) = items.iter_mut().find(|stored| stored.item.id == update.id) else { continue };
            stored.item.size = update.size;
            stored.item.updated_at = now.to_owned();
            // The old bytes go with what was staged, the new ones stay.
            std::mem::swap(&mut stored.blob, &mut update.staged.blob);
            update.staged.path = self.blob_path(update.staged.blob);
            made.push(stored.item.clone());
        }
        self.version.fetch_add(1, Ordering::AcqRel);
        Ok(made)
    }

    /// Removes data; true if it was there.
    pub(crate) fn delete(&self, domain: Uuid, id: Uuid) -> bool {
        let mut domains = self.domains();
        let Some(items) = domains.get_mut(&domain) else { return false };
        let Some(place) = items.iter().position(|stored| stored.item.id == id) else { return false };
        let stored = items.remove(place);
        drop(Staged { blob: stored.blob, path: self.blob_path(stored.blob), taken: false });
        self.version.fetch_add(1, Ordering::AcqRel);
        true
    }

    /// Writes the index, if it has not got the latest change yet.
    pub(crate) async fn save(&self) -> io::Result<()> {
        let wanted = self.version.load(Ordering::Acquire);
        let mut saved = self.saved.lock().await;
        if *saved >= wanted {
            return Ok(());
        }
        let (version, bytes) = {
            let domains = self.domains();
            (self.version.load(Ordering::Acquire), serde_json::to_vec_pretty(&*domains)?)
        };
        // Replaced in one step, so that a crash leaves the old index or the new one.
        let (index, fresh) = (self.root.join("index.json"), self.root.join("index.json.new"));
        tokio::fs::write(&fresh, bytes).await?;
        tokio::fs::rename(&fresh, &index).await?;
        *saved = version;
        Ok(())
    }
}

/// New data whose bytes are on disk.
#[derive(Debug)]
pub(crate) struct Upload {
    pub(crate) id: Uuid,
    pub(crate) name: String,
    pub(crate) data_type: String,
    pub(crate) staged: Staged,
    pub(crate) size: u64,
}

/// New bytes, on disk, of data that is known.
#[derive(Debug)]
pub(crate) struct Update {
    pub(crate) id: Uuid,
    pub(crate) staged: Staged,
    pub(crate) size: u64,
}
