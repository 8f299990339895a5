//! Create, update and delete in single requests (protocol 6.3, 6.8).

use axum::body::{Body, BodyDataStream};
use http::{HeaderMap, StatusCode, header};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

use super::form::{Form, FormError, PartHead, boundary};
use super::store::{Conflict, DataItem, Staged, Update, Upload};
use super::{authorize, names};
use crate::reply::{Answer, Refusal, empty, json};
use crate::state::{Call, Core};

impl From<FormError> for Refusal {
    fn from(error: FormError) -> Self {
        let text = error.to_string();
        match error {
            FormError::TooLarge(_) => Self::too_large(text),
            FormError::Form(_) | FormError::Body(_) => Self::bad_request(text),
        }
    }
}

impl From<Conflict> for Refusal {
    fn from(conflict: Conflict) -> Self {
        match conflict {
            Conflict::NameTaken => Self::conflict("data with this name exists"),
            Conflict::UnknownId => Self::not_found("data not found"),
        }
    }
}

fn open_form(core: &Core, headers: &HeaderMap, body: Body) -> Result<Form<BodyDataStream>, Refusal> {
    let text = |name| headers.get(name).and_then(|value: &http::HeaderValue| value.to_str().ok());
    let limit = core.config.request_max_bytes;
    if text(header::CONTENT_LENGTH).and_then(|length| length.parse().ok()) > Some(limit) {
        return Err(FormError::TooLarge(limit).into());
    }
    let boundary = text(header::CONTENT_TYPE)
        .and_then(boundary)
        .ok_or_else(|| Refusal::bad_request("Content-Type must be multipart/form-data with a boundary"))?;
    Ok(Form::new(body.into_data_stream(), boundary, limit))
}

/// Writes the current part of a form to disk.
async fn store_part(core: &Core, form: &mut Form<BodyDataStream>) -> Result<(Staged, u64), Refusal> {
    let disk = |error| Refusal::disk(&error);
    let (staged, mut file) = core.store.stage().await.map_err(disk)?;
    let mut size = 0;
    while let Some(chunk) = form.chunk().await? {
        size += chunk.len() as u64;
        let limit = core.config.domain_data_max_bytes;
        if size > limit {
            return Err(Refusal::too_large(format!("domain data must not have more than {limit} bytes")));
        }
        file.write_all(&chunk).await.map_err(disk)?;
    }
    file.flush().await.map_err(disk)?;
    Ok((staged, size))
}

async fn answer(core: &Core, items: Vec<DataItem>) -> Answer {
    core.store.save().await.map_err(|error| Refusal::disk(&error))?;
    core.changed();
    json(&json!({"data": items}))
}

pub(crate) async fn create(core: &Core, call: Call) -> Answer {
    let domain = authorize(core, &call)?;
    let mut form = open_form(core, &call.headers, call.body)?;
    let mut uploads = Vec::new();
    while let Some(PartHead { name, data_type, .. }) = form.next_part().await? {
        let (name, data_type) = (name.unwrap_or_default(), data_type.unwrap_or_default());
        names::check("name", &name)?;
        names::check("data type", &data_type)?;
        let (staged, size) = store_part(core, &mut form).await?;
        uploads.push(Upload { id: Uuid::new_v4(), name, data_type, staged, size });
    }
    if uploads.is_empty() {
        return Err(Refusal::bad_request("the form has no part"));
    }
    let items = core.store.create(domain, uploads, &core.clock.stamp())?;
    answer(core, items).await
}

pub(crate) async fn update(core: &Core, call: Call) -> Answer {
    let domain = authorize(core, &call)?;
    let mut form = open_form(core, &call.headers, call.body)?;
    let mut updates = Vec::new();
    while let Some(head) = form.next_part().await? {
        let id = head.id.ok_or_else(|| Refusal::bad_request("a part has no id"))?;
        let id = Uuid::parse_str(&id).map_err(|_| Refusal::from(Conflict::UnknownId))?;
        let (staged, size) = store_part(core, &mut form).await?;
        updates.push(Update { id, staged, size });
    }
    if updates.is_empty() {
        return Err(Refusal::bad_request("the form has no part"));
    }
    let items = core.store.update(domain, updates, &core.clock.stamp())?;
    answer(core, items).await
}

pub(crate) async fn delete(core: &Core, call: Call) -> Answer {
    let domain = authorize(core, &call)?;
    if !call.route.uuid().is_some_and(|id| core.store.delete(domain, id)) {
        return Err(Refusal::not_found("data not found"));
    }
    core.store.save().await.map_err(|error| Refusal::disk(&error))?;
    core.changed();
    empty(StatusCode::OK)
}
