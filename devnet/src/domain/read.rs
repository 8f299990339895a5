//! Metadata and downloads (protocol 6.1 to 6.3).

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use bytes::BytesMut;
use futures_util::{Stream, stream};
use http::header;
use serde_json::json;
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use uuid::Uuid;

use super::authorize;
use super::store::{DataItem, Store, Stored};
use crate::reply::{Answer, Refusal, json};
use crate::state::{Call, Core};

/// How many ids one request may name.
const MAX_IDS: usize = 100;
/// How much of a blob is in memory at a time.
const CHUNK: usize = 256 << 10;

/// What a request asks for.
fn select(core: &Core, call: &Call) -> Result<Vec<Stored>, Refusal> {
    let domain = authorize(core, call)?;
    let named = call.query.all("ids").flat_map(|ids| ids.split(',')).filter(|id| !id.is_empty());
    let ids: Vec<Uuid> = named
        .map(|id| Uuid::parse_str(id).map_err(|_| Refusal::bad_request("ids must be UUIDs")))
        .collect::<Result<_, _>>()?;
    if ids.len() > MAX_IDS {
        return Err(Refusal::bad_request(format!("more than {MAX_IDS} ids")));
    }
    let (name, data_type) = (call.query.get("name"), call.query.get("data_type"));
    Ok(core.store.find(domain, |item| {
        (ids.is_empty() || ids.contains(&item.id))
            && name.is_none_or(|name| name == item.name)
            && data_type.is_none_or(|data_type| data_type == item.data_type)
    }))
}

pub(crate) fn list(core: &Core, call: &Call) -> Answer {
    let items: Vec<DataItem> = select(core, call)?.into_iter().map(|stored| stored.item).collect();
    json(&json!({"data": items}))
}

pub(crate) fn download(core: &Core, call: &Call) -> Answer {
    let items = select(core, call)?;
    let boundary = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
    // Exactly so: clients look at this very text (protocol 6.2).
    let content_type = format!("multipart/form-data; boundary={boundary}");
    let body = Body::from_stream(parts(core.store.clone(), items.into(), boundary));
    Ok(([(header::CONTENT_TYPE, content_type)], body).into_response())
}

fn one(core: &Core, call: &Call) -> Result<Stored, Refusal> {
    let domain = authorize(core, call)?;
    let found = call.route.uuid().and_then(|id| core.store.get(domain, id));
    found.ok_or_else(|| Refusal::not_found("data not found"))
}

pub(crate) fn get(core: &Core, call: &Call) -> Answer {
    json(&one(core, call)?.item)
}

pub(crate) async fn get_raw(core: &Core, call: Call) -> Answer {
    let stored = one(core, &call)?;
    let size = stored.item.size;
    let file = File::open(core.store.path_of(&stored)).await.map_err(|error| Refusal::disk(&error))?;
    let bytes = stream::try_unfold((file, size), |(mut file, left)| async move {
        Ok::<_, io::Error>(chunk(&mut file, left).await?.map(|bytes| {
            let left = left - bytes.len() as u64;
            (bytes, (file, left))
        }))
    });
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_LENGTH, size.to_string()),
    ];
    let response: Response = (headers, Body::from_stream(bytes)).into_response();
    Ok(response)
}

/// The next bytes of a blob of which `left` are to come; none at its end.
async fn chunk(file: &mut File, left: u64) -> io::Result<Option<Bytes>> {
    if left == 0 {
        return Ok(None);
    }
    let mut buffer = BytesMut::with_capacity(CHUNK.min(usize::try_from(left).unwrap_or(CHUNK)));
    let mut file = file.take(left);
    if file.read_buf(&mut buffer).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(buffer.freeze()))
}

/// A download under way.
struct Download {
    store: Arc<Store>,
    items: VecDeque<Stored>,
    boundary: String,
    /// The blob being sent and how many of its bytes are to come.
    open: Option<(File, u64)>,
    ended: bool,
}

fn parts(
    store: Arc<Store>,
    items: VecDeque<Stored>,
    boundary: String,
) -> impl Stream<Item = io::Result<Bytes>> {
    let download = Download { store, items, boundary, open: None, ended: false };
    stream::try_unfold(download, |mut download| async move {
        Ok(download.next().await?.map(|bytes| (bytes, download)))
    })
}

impl Download {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if let Some((file, left)) = &mut self.open {
            if let Some(bytes) = chunk(file, *left).await? {
                *left -= bytes.len() as u64;
                return Ok(Some(bytes));
            }
            self.open = None;
            return Ok(Some(Bytes::from_static(b"\r\n")));
        }
        if let Some(stored) = self.items.pop_front() {
            let file = File::open(self.store.path_of(&stored)).await?;
            self.open = Some((file, stored.item.size));
            return Ok(Some(head(&self.boundary, &stored.item).into()));
        }
        if std::mem::replace(&mut self.ended, true) {
            return Ok(None);
        }
        Ok(Some(format!("--{}--\r\n", self.boundary).into()))
    }
}

/// The head of a part, in the order that the servers send it in (protocol 6.2).
fn head(boundary: &str, item: &DataItem) -> String {
    let DataItem { id, domain_id, name, data_type, size, created_at, updated_at } = item;
    format!(
        "--{boundary}\r\n\
         Content-Disposition: form-data; name=\"{name}\"; data-type=\"{data_type}\"; id=\"{id}\"; \
         domain-id=\"{domain_id}\"; size=\"{size}\"; created-at=\"{created_at}\"; \
         updated-at=\"{updated_at}\"\r\n\
         Content-Type: application/octet-stream\r\n\r\n"
    )
}
