//! Domain data.

use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use tokio::fs::File;
use tokio::io::{AsyncRead, AsyncReadExt};
use uuid::Uuid;

use crate::devnet::Devnet;
use crate::domain::names;
use crate::error::DevnetError;
use crate::response::ApiError;
use crate::state::item::DataItem;
use crate::state::store::NewData;

/// How much is read before it is written, in bytes.
const CHUNK: usize = 256 << 10;

impl Devnet {
    /// Puts bytes into [`Devnet::domain_id`]; returns the id of the data.
    ///
    /// # Errors
    /// [`DevnetError::Refused`] if the name exists or is not allowed; [`DevnetError::File`] if the disk
    /// fails.
    pub async fn put_data(
        &self,
        name: &str,
        data_type: &str,
        bytes: impl AsRef<[u8]>,
    ) -> Result<Uuid, DevnetError> {
        self.put_stream(name, data_type, bytes.as_ref()).await
    }

    /// Copies a file into [`Devnet::domain_id`]; returns the id of the data.
    ///
    /// # Errors
    /// [`DevnetError::Refused`] if the name exists or is not allowed; [`DevnetError::File`] if the file can't
    /// be read, or the disk fails.
    pub async fn put_file(
        &self,
        name: &str,
        data_type: &str,
        path: impl AsRef<Path>,
    ) -> Result<Uuid, DevnetError> {
        let path = path.as_ref();
        let file = File::open(path).await.map_err(DevnetError::file("read", path))?;
        self.put_stream(name, data_type, file).await
    }

    /// Copies what a reader yields into [`Devnet::domain_id`], in constant memory; returns the id of the
    /// data.
    ///
    /// # Errors
    /// [`DevnetError::Refused`] if the name exists or is not allowed; [`DevnetError::File`] if the reader or
    /// the disk fails.
    pub async fn put_stream(
        &self,
        name: &str,
        data_type: &str,
        mut from: impl AsyncRead + Unpin,
    ) -> Result<Uuid, DevnetError> {
        names::check("name", name)?;
        names::check("data type", data_type)?;
        let store = &self.servers.store;
        let (blob, mut to) = store.stage().await.map_err(DevnetError::file("create", "a blob"))?;
        let copied = async {
            let mut size = 0;
            loop {
                let mut chunk = BytesMut::with_capacity(CHUNK);
                while chunk.len() < CHUNK && from.read_buf(&mut chunk).await? > 0 {}
                if chunk.is_empty() {
                    break;
                }
                size += chunk.len() as u64;
                to.write(chunk.freeze()).await?;
            }
            to.flush().await?;
            Ok(size)
        };
        let size = copied.await.map_err(DevnetError::file("write", blob.path()))?;
        let id = Uuid::new_v4();
        let new = NewData { id, name: name.to_owned(), data_type: data_type.to_owned(), blob, size };
        let now = self.servers.clock.timestamp();
        store.create(self.domain_id(), vec![new], &now).map_err(ApiError::from)?;
        store.save().await.map_err(DevnetError::file("write", "the index"))?;
        self.servers.changed();
        Ok(id)
    }

    /// Removes data of any domain; false if there is none with this id.
    ///
    /// # Errors
    /// [`DevnetError::File`] if the disk fails.
    pub async fn delete_data(&self, id: Uuid) -> Result<bool, DevnetError> {
        let store = &self.servers.store;
        let Some(stored) = store.locate(id) else { return Ok(false) };
        let deleted = store.delete(stored.item.domain_id, id);
        store.save().await.map_err(DevnetError::file("write", "the index"))?;
        self.servers.changed();
        Ok(deleted)
    }

    /// The whole content of data of any domain.
    ///
    /// # Errors
    /// [`DevnetError::Refused`] if there is no data with this id; [`DevnetError::File`] if the disk fails.
    pub async fn read_data(&self, id: Uuid) -> Result<Bytes, DevnetError> {
        let path = self.data_path(id).ok_or_else(|| ApiError::not_found("data not found"))?;
        tokio::fs::read(&path).await.map(Bytes::from).map_err(DevnetError::file("read", path))
    }

    /// The file with the content of data of any domain, until the data is updated or deleted.
    pub fn data_path(&self, id: Uuid) -> Option<PathBuf> {
        self.servers.store.locate(id).map(|stored| self.servers.store.path_of(&stored))
    }

    /// The metadata of the data in [`Devnet::domain_id`], in the order of its creation.
    pub fn list_data(&self) -> Vec<DataItem> {
        self.servers.store.find(self.domain_id(), |_| true).into_iter().map(|stored| stored.item).collect()
    }

    /// The URL of data in [`Devnet::domain_id`], as jobs name their inputs (protocol 6.4).
    pub fn data_url(&self, id: Uuid) -> String {
        format!("{}/api/v1/domains/{}/data/{id}", self.domain_server_url(), self.domain_id())
    }
}
