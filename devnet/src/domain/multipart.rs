//! Upload sessions: parts may arrive at the same time and in any order (protocol 6.9).

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use axum::body::Body;
use futures_util::StreamExt;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use tokio::fs::OpenOptions;
use uuid::Uuid;

use crate::domain::access::authorize;
use crate::domain::names;
use crate::request::{ApiRequest, read_json};
use crate::response::{ApiError, ApiResult, empty, json};
use crate::servers::Servers;
use crate::state::blob::BlobWriter;
use crate::state::item::DataItem;
use crate::state::sessions::{OpenSession, PartRecord, SessionRecord, SessionStatus, UploadedPart};
use crate::state::store::{NewContent, NewData};

/// How many parts a session may have. Bounds its size too: the size of a part is prescribed.
const MAX_PARTS: u32 = 10_000;

fn no_session() -> ApiError {
    ApiError::not_found("upload not found")
}

/// The domain of a request, if sessions are offered and its token gives access.
fn authorize_session(servers: &Servers, request: &ApiRequest) -> Result<Uuid, ApiError> {
    if !servers.config.multipart_enabled {
        let status = StatusCode::from_u16(servers.config.multipart_disabled_status);
        let status = status.unwrap_or(StatusCode::NOT_FOUND);
        return Err(ApiError::new(status, "multipart uploads are not offered"));
    }
    authorize(servers, request)
}

#[derive(Debug, Deserialize)]
struct InitiateRequest {
    #[serde(default)]
    name: String,
    #[serde(default)]
    data_type: String,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default)]
    existing_id: Option<String>,
}

pub(crate) async fn initiate(servers: &Servers, request: ApiRequest) -> ApiResult {
    let domain = authorize_session(servers, &request)?;
    let body: InitiateRequest = read_json(request.body).await?;
    let existing = match &body.existing_id {
        // An update has no use for name and type, and clients send them empty (protocol 6.9).
        Some(id) => {
            let found = Uuid::parse_str(id).ok().and_then(|id| servers.store.get(domain, id));
            Some(found.ok_or_else(|| ApiError::not_found("data not found"))?.item.id)
        }
        None => {
            names::check("name", &body.name)?;
            names::check("data type", &body.data_type)?;
            None
        }
    };
    let limit = servers.config.domain_data_max_bytes.min(servers.config.part_size * u64::from(MAX_PARTS));
    if body.size.is_some_and(|size| size > limit) {
        return Err(ApiError::too_large(format!("domain data must not have more than {limit} bytes")));
    }
    // Each part opens the file for itself, because parts may arrive at the same time.
    let (blob, _) = servers.store.stage().await.map_err(|error| ApiError::disk(&error))?;
    let (upload_id, data_id) = (Uuid::new_v4(), existing.unwrap_or_else(Uuid::new_v4));
    let expires = Instant::now() + servers.config.upload_session_ttl;
    let record = SessionRecord {
        upload_id,
        domain_id: domain,
        name: body.name,
        data_type: body.data_type,
        size: body.size,
        existing_id: existing,
        parts: Vec::new(),
        status: SessionStatus::Open,
    };
    let closed = Arc::new(AtomicBool::new(false));
    servers.sessions.begin(record, OpenSession { data_id, blob, parts: BTreeMap::new(), expires, closed });
    servers.changed();
    json(&json!({
        "upload_id": upload_id,
        "part_size": servers.config.part_size,
        "data_id": data_id,
        "expires_at": servers.clock.timestamp_of(expires),
    }))
}

pub(crate) async fn put_part(servers: &Servers, request: ApiRequest) -> ApiResult {
    let domain = authorize_session(servers, &request)?;
    let id = request.route.uuid().ok_or_else(no_session)?;
    let number: u32 = request
        .query
        .get("partNumber")
        .and_then(|text| text.parse().ok())
        .filter(|number| (1..=MAX_PARTS).contains(number))
        .ok_or_else(|| ApiError::bad_request(format!("partNumber must be 1 to {MAX_PARTS}")))?;
    // From here on the bytes of an earlier part with this number may be overwritten, so it is forgotten.
    let (path, closed) = servers
        .sessions
        .with_open(domain, id, |_, open| {
            open.parts.remove(&number);
            (open.blob.path().to_owned(), open.closed.clone())
        })
        .ok_or_else(no_session)?;

    let offset = u64::from(number - 1) * servers.config.part_size;
    let size = write_part(request.body, &path, offset, servers.config.part_size, &closed).await?;
    // Another one each time that a part is sent, whatever is in it: clients take it as it is.
    let etag = Uuid::new_v4().simple().to_string();
    servers
        .sessions
        .with_open(domain, id, |record, open| {
            open.parts.insert(number, UploadedPart { size, etag: etag.clone() });
            record.parts.push(PartRecord { number, size, at: Instant::now() });
        })
        .ok_or_else(no_session)?;
    servers.changed();
    json(&json!({"etag": etag}))
}

/// Writes a part at its offset in the blob; returns its size.
async fn write_part(
    body: Body,
    path: &Path,
    offset: u64,
    max_size: u64,
    closed: &AtomicBool,
) -> Result<u64, ApiError> {
    let disk = |error| ApiError::disk(&error);
    let mut file = BlobWriter::open(path, offset).await.map_err(disk)?;
    let mut size = 0;
    let mut body = body.into_data_stream();
    while let Some(chunk) = body.next().await {
        let chunk =
            chunk.map_err(|error| ApiError::bad_request(format!("the part could not be read: {error}")))?;
        size += chunk.len() as u64;
        if size > max_size {
            return Err(ApiError::too_large(format!("a part must not have more than {max_size} bytes")));
        }
        check_open(closed)?;
        file.write(chunk).await.map_err(disk)?;
    }
    check_open(closed)?;
    file.flush().await.map_err(disk)?;
    if size == 0 {
        return Err(ApiError::bad_request("a part must not be empty"));
    }
    Ok(size)
}

/// The blob may be in the index by now, where nothing may change it any more.
fn check_open(closed: &AtomicBool) -> Result<(), ApiError> {
    if closed.load(Ordering::Acquire) { Err(no_session()) } else { Ok(()) }
}

#[derive(Debug, Deserialize)]
struct CompleteSessionRequest {
    parts: Vec<PartReference>,
}

#[derive(Debug, Deserialize)]
struct PartReference {
    part_number: u32,
    etag: String,
}

/// Checks that the listed parts are those that arrived, without a gap; returns their total size.
fn check(
    servers: &Servers,
    record: &SessionRecord,
    open: &OpenSession,
    named: &[PartReference],
) -> Result<u64, ApiError> {
    let bad = |text: String| Err(ApiError::bad_request(text));
    if named.is_empty() {
        return bad("no parts are named".to_owned());
    }
    let mut total = 0;
    for (want, part) in (1..).zip(named) {
        let number = part.part_number;
        if number != want {
            return bad(format!("part {want} must come where part {number} is named"));
        }
        let Some(arrived) = open.parts.get(&number) else {
            return bad(format!("part {number} has not arrived"));
        };
        // Clients that know ETags from HTTP headers send the quotes too.
        if arrived.etag != part.etag.trim_matches('"') {
            return bad(format!("the etag of part {number} is another"));
        }
        let is_last = number as usize == named.len();
        // Parts lie at multiples of the part size, so a short one in the middle would leave a hole.
        if !is_last && arrived.size != servers.config.part_size {
            return bad(format!("part {number} is not the last and has only {} bytes", arrived.size));
        }
        total += arrived.size;
    }
    if record.size.is_some_and(|size| size != total) {
        return bad(format!("the parts have {total} bytes and not what was announced"));
    }
    if total > servers.config.domain_data_max_bytes {
        return Err(ApiError::too_large("the parts are more than domain data may have"));
    }
    Ok(total)
}

pub(crate) async fn complete(servers: &Servers, request: ApiRequest) -> ApiResult {
    let domain = authorize_session(servers, &request)?;
    let id = request.route.uuid().ok_or_else(no_session)?;
    let body: CompleteSessionRequest = read_json(request.body).await?;
    let (size, record, data_id) = servers
        .sessions
        .with_open(domain, id, |record, open| {
            check(servers, record, open, &body.parts).map(|size| (size, record.clone(), open.data_id))
        })
        .ok_or_else(no_session)??;
    // Data that was created under this name since the session began is replaced (protocol 6.9).
    let same_name = || servers.store.find(domain, |item| item.name == record.name).pop();
    let existing = record.existing_id.or_else(|| same_name().map(|stored| stored.item.id));
    let status = SessionStatus::Completed(existing.unwrap_or(data_id));
    // From here on no part is written any more; a second complete or an abort finds no session.
    let open = servers.sessions.end(domain, id, status).ok_or_else(no_session)?;
    trim(&open, size).await.map_err(|error| ApiError::disk(&error))?;
    let now = servers.clock.timestamp();
    let items = match existing {
        Some(id) => servers.store.update(domain, vec![NewContent { id, blob: open.blob, size }], &now),
        None => {
            let SessionRecord { name, data_type, .. } = record;
            let new = NewData { id: data_id, name, data_type, blob: open.blob, size };
            servers.store.create(domain, vec![new], &now)
        }
    };
    let item: Option<DataItem> = items?.pop();
    servers.store.save().await.map_err(|error| ApiError::disk(&error))?;
    servers.changed();
    json(&item)
}

/// Removes the bytes behind the last part: those of parts that were not listed, or that were longer before
/// they were sent again.
async fn trim(open: &OpenSession, size: u64) -> io::Result<()> {
    OpenOptions::new().write(true).open(open.blob.path()).await?.set_len(size).await
}

pub(crate) fn abort(servers: &Servers, request: &ApiRequest) -> ApiResult {
    let domain = authorize_session(servers, request)?;
    let id = request.route.uuid().ok_or_else(no_session)?;
    // Dropping what it had open removes the blob.
    let open = servers.sessions.end(domain, id, SessionStatus::Aborted).ok_or_else(no_session)?;
    drop(open);
    servers.changed();
    empty(StatusCode::OK)
}
