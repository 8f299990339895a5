//! Metadata and downloads (protocol 6.1 to 6.3).

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, stream};
use http::header;
use serde_json::json;
use uuid::Uuid;

use crate::domain::access::authorize;
use crate::request::ApiRequest;
use crate::response::{ApiError, ApiResult, json};
use crate::servers::Servers;
use crate::state::blob::BlobReader;
use crate::state::item::{DataItem, StoredItem};
use crate::state::store::DataStore;

/// How many ids a request may list (protocol 6.1).
const MAX_IDS: usize = 100;
/// How many bytes of small blobs are read and sent together.
const SMALL_PARTS: u64 = 256 << 10;

/// The items that the query of a request selects.
fn select(servers: &Servers, request: &ApiRequest) -> Result<Vec<StoredItem>, ApiError> {
    let domain = authorize(servers, request)?;
    let named = request.query.all("ids").flat_map(|ids| ids.split(',')).filter(|id| !id.is_empty());
    let ids: Vec<Uuid> = named
        .map(|id| Uuid::parse_str(id).map_err(|_| ApiError::bad_request("ids must be UUIDs")))
        .collect::<Result<_, _>>()?;
    if ids.len() > MAX_IDS {
        return Err(ApiError::bad_request(format!("more than {MAX_IDS} ids")));
    }
    let (name, data_type) = (request.query.get("name"), request.query.get("data_type"));
    // Exact matches, as protocol 6.1 has it.
    let matches = |item: &DataItem| {
        name.is_none_or(|name| name == item.name)
            && data_type.is_none_or(|data_type| data_type == item.data_type)
    };
    Ok(match ids.as_slice() {
        [] => servers.store.find(domain, matches),
        ids => servers.store.find_ids(domain, ids, matches),
    })
}

pub(crate) fn list(servers: &Servers, request: &ApiRequest) -> ApiResult {
    let items: Vec<DataItem> = select(servers, request)?.into_iter().map(|stored| stored.item).collect();
    json(&json!({"data": items}))
}

pub(crate) fn download(servers: &Servers, request: &ApiRequest) -> ApiResult {
    let items = select(servers, request)?;
    let boundary = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    // Character by character: clients compare this text rather than parse it (protocol 6.2).
    let content_type = format!("multipart/form-data; boundary={boundary}");
    let body = Body::from_stream(form_parts(servers.store.clone(), items.into(), boundary));
    Ok(([(header::CONTENT_TYPE, content_type)], body).into_response())
}

/// The item that the path of a request names.
fn find_one(servers: &Servers, request: &ApiRequest) -> Result<StoredItem, ApiError> {
    let domain = authorize(servers, request)?;
    let found = request.route.uuid().and_then(|id| servers.store.get(domain, id));
    found.ok_or_else(|| ApiError::not_found("data not found"))
}

pub(crate) fn get(servers: &Servers, request: &ApiRequest) -> ApiResult {
    json(&find_one(servers, request)?.item)
}

pub(crate) async fn get_raw(servers: &Servers, request: ApiRequest) -> ApiResult {
    let stored = find_one(servers, &request)?;
    let size = stored.item.size;
    // Opened before answering, so that a missing file is a 500 and not a body cut short.
    let blob = BlobReader::open(servers.store.path_of(&stored), size).await;
    let blob = blob.map_err(|error| ApiError::disk(&error))?;
    let bytes = stream::try_unfold(blob, |mut blob| async move {
        Ok::<_, io::Error>(blob.next_chunk().await?.map(|bytes| (bytes, blob)))
    });
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, size.to_string()),
    ];
    let response: Response = (headers, Body::from_stream(bytes)).into_response();
    Ok(response)
}

/// A download in progress.
struct FormDownload {
    store: Arc<DataStore>,
    items: VecDeque<StoredItem>,
    boundary: String,
    /// The blob being sent.
    open: Option<BlobReader>,
    ended: bool,
}

/// The parts of a form with these items as they are sent, one blob open at a time.
fn form_parts(
    store: Arc<DataStore>,
    items: VecDeque<StoredItem>,
    boundary: String,
) -> impl Stream<Item = io::Result<Bytes>> {
    let download = FormDownload { store, items, boundary, open: None, ended: false };
    stream::try_unfold(download, |mut download| async move {
        Ok(download.next_chunk().await?.map(|bytes| (bytes, download)))
    })
}

impl FormDownload {
    /// The small items that are next, as many as fit into a chunk. They are read in one go: a file and a chunk for each
    /// would cost more than their bytes.
    async fn small_parts(&mut self) -> io::Result<Option<Bytes>> {
        let (mut small, mut size) = (Vec::new(), 0);
        while let Some(stored) = self.items.front() {
            size += stored.item.size;
            if size > SMALL_PARTS {
                break;
            }
            small.extend(self.items.pop_front());
        }
        if small.is_empty() {
            return Ok(None);
        }
        let (store, boundary) = (self.store.clone(), self.boundary.clone());
        let read = tokio::task::spawn_blocking(move || {
            let mut parts = Vec::new();
            for stored in small {
                parts.extend_from_slice(part_head(&boundary, &stored.item).as_bytes());
                let bytes = std::fs::read(store.path_of(&stored))?;
                if bytes.len() as u64 != stored.item.size {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                parts.extend_from_slice(&bytes);
                parts.extend_from_slice(b"\r\n");
            }
            Ok(parts.into())
        });
        read.await.map_err(io::Error::other)?.map(Some)
    }

    async fn next_chunk(&mut self) -> io::Result<Option<Bytes>> {
        if let Some(blob) = &mut self.open {
            if let Some(bytes) = blob.next_chunk().await? {
                return Ok(Some(bytes));
            }
            self.open = None;
            return Ok(Some(Bytes::from_static(b"\r\n")));
        }
        if let Some(parts) = self.small_parts().await? {
            return Ok(Some(parts));
        }
        if let Some(stored) = self.items.pop_front() {
            self.open = Some(BlobReader::open(self.store.path_of(&stored), stored.item.size).await?);
            return Ok(Some(part_head(&self.boundary, &stored.item).into()));
        }
        // Once for the closing boundary.
        if std::mem::replace(&mut self.ended, true) {
            return Ok(None);
        }
        Ok(Some(format!("--{}--\r\n", self.boundary).into()))
    }
}

/// The head of a part, with the parameters in the order of the real servers (protocol 6.2).
fn part_head(boundary: &str, item: &DataItem) -> String {
    let DataItem { id, domain_id, name, data_type, size, created_at, updated_at } = item;
    format!(
        "--{boundary}\r\n\
         Content-Disposition: form-data; name=\"{name}\"; data-type=\"{data_type}\"; id=\"{id}\"; \
         domain-id=\"{domain_id}\"; size=\"{size}\"; created-at=\"{created_at}\"; \
         updated-at=\"{updated_at}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    )
}
