//! Uploads in parts, which may come at the same time and in any order (protocol 6.9).

use std::collections::BTreeMap;
use std::io::SeekFrom;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use futures_util::StreamExt;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::fs::OpenOptions;
use tokio::io::{AsyncSeekExt, AsyncWriteExt};
use uuid::Uuid;

use super::session::{Open, Part, PartRecord, SessionRecord, SessionStatus};
use super::store::{DataItem, Update, Upload};
use super::{authorize, names};
use crate::reply::{Answer, Refusal, empty, json, read_json};
use crate::state::{Call, Core};

/// How many parts a session may have.
const MAX_PARTS: u32 = 10_000;

fn no_session() -> Refusal {
    Refusal::not_found("upload not found")
}

/// The domain of a request, if sessions are offered at all.
fn offered(core: &Core, call: &Call) -> Result<Uuid, Refusal> {
    if !core.config.multipart_enabled {
        let status = StatusCode::from_u16(core.config.multipart_disabled_status);
        let status = status.unwrap_or(StatusCode::NOT_FOUND);
        return Err(Refusal::new(status, "multipart uploads are not offered"));
    }
    authorize(core, call)
}

#[derive(Debug, Deserialize)]
struct Initiate {
    #[serde(default)]
    name: String,
    #[serde(default)]
    data_type: String,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default)]
    existing_id: Option<String>,
}

pub(crate) async fn initiate(core: &Core, call: Call) -> Answer {
    let domain = offered(core, &call)?;
    let body: Initiate = read_json(call.body, core.config.json_max_bytes).await?;
    let existing = match &body.existing_id {
        Some(id) => {
            let found = Uuid::parse_str(id).ok().and_then(|id| core.store.get(domain, id));
            Some(found.ok_or_else(|| Refusal::not_found("data not found"))?.item.id)
        }
        None => {
            names::check("name", &body.name)?;
            names::check("data type", &body.data_type)?;
            None
        }
    };
    let limit = core.config.domain_data_max_bytes.min(core.config.part_size * u64::from(MAX_PARTS));
    if body.size.is_some_and(|size| size > limit) {
        return Err(Refusal::too_large(format!("domain data must not have more than {limit} bytes")));
    }
    // The file stays open only while parts are written to it.
    let (staged, _) = core.store.stage().await.map_err(|error| Refusal::disk(&error))?;
    let (upload_id, data_id) = (Uuid::new_v4(), existing.unwrap_or_else(Uuid::new_v4));
    let expires = Instant::now() + core.config.upload_session_ttl;
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
    core.sessions.begin(record, Open { data_id, staged, parts: BTreeMap::new(), expires, closed });
    core.changed();
    json(&json!({
        "upload_id": upload_id,
        "part_size": core.config.part_size,
        "data_id": data_id,
        "expires_at": core.clock.stamp_of(expires),
    }))
}

pub(crate) async fn part(core: &Core, call: Call) -> Answer {
    let domain = offered(core, &call)?;
    let id = call.route.uuid().ok_or_else(no_session)?;
    let number: u32 = call
        .query
        .get("partNumber")
        .and_then(|text| text.parse().ok())
        .filter(|number| (1..=MAX_PARTS).contains(number))
        .ok_or_else(|| Refusal::bad_request(format!("partNumber must be 1 to {MAX_PARTS}")))?;
    // A part that is sent again may be written over from here on, so the earlier one does not count.
    let (path, closed) = core
        .sessions
        .with(domain, id, |_, open| {
            open.parts.remove(&number);
            (open.staged.path().to_owned(), open.closed.clone())
        })
        .ok_or_else(no_session)?;

    let disk = |error| Refusal::disk(&error);
    let part_size = core.config.part_size;
    let mut file = OpenOptions::new().write(true).open(&path).await.map_err(disk)?;
    file.seek(SeekFrom::Start(u64::from(number - 1) * part_size)).await.map_err(disk)?;
    let (mut size, mut hash) = (0, Sha256::new());
    let mut body = call.body.into_data_stream();
    while let Some(chunk) = body.next().await {
        let chunk =
            chunk.map_err(|error| Refusal::bad_request(format!("the part could not be read: {error}")))?;
        size += chunk.len() as u64;
        if size > part_size {
            return Err(Refusal::too_large(format!("a part must not have more than {part_size} bytes")));
        }
        if closed.load(Ordering::Acquire) {
            return Err(no_session());
        }
        hash.update(&chunk);
        file.write_all(&chunk).await.map_err(disk)?;
    }
    file.flush().await.map_err(disk)?;
    if size == 0 {
        return Err(Refusal::bad_request("a part must not be empty"));
    }
    let etag = hex::encode(hash.finalize());
    core.sessions
        .with(domain, id, |record, open| {
            open.parts.insert(number, Part { size, etag: etag.clone() });
            record.parts.push(PartRecord { number, size, at: Instant::now() });
        })
        .ok_or_else(no_session)?;
    core.changed();
    json(&json!({"etag": etag}))
}

#[derive(Debug, Deserialize)]
struct Complete {
    parts: Vec<NamedPart>,
}

#[derive(Debug, Deserialize)]
struct NamedPart {
    part_number: u32,
    etag: String,
}

/// Checks that the parts named are those that arrived and make up the whole; gives its size.
fn check(core: &Core, record: &SessionRecord, open: &Open, named: &[NamedPart]) -> Result<u64, Refusal> {
    let bad = |text: String| Err(Refusal::bad_request(text));
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
        if arrived.etag != part.etag.trim_matches('"') {
            return bad(format!("the etag of part {number} is another"));
        }
        let is_last = number as usize == named.len();
        if !is_last && arrived.size != core.config.part_size {
            return bad(format!("part {number} is not the last and has only {} bytes", arrived.size));
        }
        total += arrived.size;
    }
    if record.size.is_some_and(|size| size != total) {
        return bad(format!("the parts have {total} bytes and not what was announced"));
    }
    if total > core.config.domain_data_max_bytes {
        return Err(Refusal::too_large("the parts are more than domain data may have"));
    }
    Ok(total)
}

pub(crate) async fn complete(core: &Core, call: Call) -> Answer {
    let domain = offered(core, &call)?;
    let id = call.route.uuid().ok_or_else(no_session)?;
    let body: Complete = read_json(call.body, core.config.json_max_bytes).await?;
    let (size, record, data_id) = core
        .sessions
        .with(domain, id, |record, open| {
            check(core, record, open, &body.parts).map(|size| (size, record.clone(), open.data_id))
        })
        .ok_or_else(no_session)??;
    // A name that came into being meanwhile is replaced, as the servers do.
    let same_name = || core.store.find(domain, |item| item.name == record.name).pop();
    let existing = record.existing_id.or_else(|| same_name().map(|stored| stored.item.id));
    let status = SessionStatus::Completed(existing.unwrap_or(data_id));
    let open = core.sessions.end(domain, id, status).ok_or_else(no_session)?;
    trim(&open, size).await.map_err(|error| Refusal::disk(&error))?;
    let now = core.clock.stamp();
    let items = match existing {
        Some(id) => core.store.update(domain, vec![Update { id, staged: open.staged, size }], &now),
        None => {
            let SessionRecord { name, data_type, .. } = record;
            let upload = Upload { id: data_id, name, data_type, staged: open.staged, size };
            core.store.create(domain, vec![upload], &now)
        }
    };
    let item: Option<DataItem> = items?.pop();
    core.store.save().await.map_err(|error| Refusal::disk(&error))?;
    core.changed();
    json(&item)
}

/// Cuts off what parts that are not named, or were sent again, have left behind.
async fn trim(open: &Open, size: u64) -> std::io::Result<()> {
    OpenOptions::new().write(true).open(open.staged.path()).await?.set_len(size).await
}

pub(crate) async fn abort(core: &Core, call: Call) -> Answer {
    let domain = offered(core, &call)?;
    let id = call.route.uuid().ok_or_else(no_session)?;
    let open = core.sessions.end(domain, id, SessionStatus::Aborted).ok_or_else(no_session)?;
    drop(open);
    core.changed();
    empty(StatusCode::OK)
}
