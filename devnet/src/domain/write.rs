//! Creates, updates and deletes data in single requests (protocol 6.3, 6.8).

use axum::body::BodyDataStream;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderName, StatusCode, header};
use serde_json::json;
use uuid::Uuid;

use crate::domain::access::authorize;
use crate::domain::form::{FormError, FormPart, UploadForm};
use crate::domain::names;
use crate::request::ApiRequest;
use crate::response::{ApiError, ApiResult, empty, json};
use crate::servers::Servers;
use crate::state::blob::StagedBlob;
use crate::state::item::DataItem;
use crate::state::store::{NewContent, NewData, StoreError};

/// Begins to read the form in a request's body.
fn open_form<'b>(
    servers: &Servers,
    headers: &HeaderMap,
    body: &'b mut BodyDataStream,
) -> Result<UploadForm<'b>, ApiError> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let limit = servers.config.request_max_bytes;
    // Refused before a byte is read, as the real server does.
    if text(header::CONTENT_LENGTH).and_then(|length| length.parse().ok()) > Some(limit) {
        return Err(FormError::TooLarge(limit).into());
    }
    Ok(UploadForm::new(body, text(header::CONTENT_TYPE).unwrap_or_default(), limit)?)
}

/// Reads what follows the last boundary, so that the connection can be used for the next request.
async fn read_to_end(mut body: BodyDataStream) -> Result<(), FormError> {
    while let Some(chunk) = body.next().await {
        chunk.map_err(|error| FormError::Read(error.into()))?;
    }
    Ok(())
}

/// Writes the content of a part to a blob; returns its size too.
async fn store_part(servers: &Servers, mut part: FormPart<'_>) -> Result<(StagedBlob, u64), ApiError> {
    let disk = |error| ApiError::disk(&error);
    let (blob, mut file) = servers.store.stage().await.map_err(disk)?;
    let mut size = 0;
    while let Some(chunk) = part.chunk().await? {
        size += chunk.len() as u64;
        let limit = servers.config.domain_data_max_bytes;
        if size > limit {
            return Err(ApiError::too_large(format!("domain data must not have more than {limit} bytes")));
        }
        file.write(chunk).await.map_err(disk)?;
    }
    file.flush().await.map_err(disk)?;
    Ok((blob, size))
}

async fn save_and_answer(servers: &Servers, items: Vec<DataItem>) -> ApiResult {
    servers.store.save().await.map_err(|error| ApiError::disk(&error))?;
    servers.changed();
    json(&json!({"data": items}))
}

pub(crate) async fn create(servers: &Servers, request: ApiRequest) -> ApiResult {
    let domain = authorize(servers, &request)?;
    let mut body = request.body.into_data_stream();
    let mut form = open_form(servers, &request.headers, &mut body)?;
    let mut all = Vec::new();
    while let Some(mut part) = form.next_part().await? {
        let name = part.attributes.name.take().unwrap_or_default();
        let data_type = part.attributes.data_type.take().unwrap_or_default();
        names::check("name", &name)?;
        names::check("data type", &data_type)?;
        let (blob, size) = store_part(servers, part).await?;
        all.push(NewData { id: Uuid::new_v4(), name, data_type, blob, size });
    }
    drop(form);
    read_to_end(body).await?;
    if all.is_empty() {
        return Err(ApiError::bad_request("the form has no part"));
    }
    let items = servers.store.create(domain, all, &servers.clock.timestamp())?;
    save_and_answer(servers, items).await
}

pub(crate) async fn update(servers: &Servers, request: ApiRequest) -> ApiResult {
    let domain = authorize(servers, &request)?;
    let mut body = request.body.into_data_stream();
    let mut form = open_form(servers, &request.headers, &mut body)?;
    let mut all = Vec::new();
    while let Some(part) = form.next_part().await? {
        let id = part.attributes.id.as_deref().ok_or_else(|| ApiError::bad_request("a part has no id"))?;
        let id = Uuid::parse_str(id).map_err(|_| ApiError::from(StoreError::UnknownId))?;
        let (blob, size) = store_part(servers, part).await?;
        all.push(NewContent { id, blob, size });
    }
    drop(form);
    read_to_end(body).await?;
    if all.is_empty() {
        return Err(ApiError::bad_request("the form has no part"));
    }
    let items = servers.store.update(domain, all, &servers.clock.timestamp())?;
    save_and_answer(servers, items).await
}

pub(crate) async fn delete(servers: &Servers, request: ApiRequest) -> ApiResult {
    let domain = authorize(servers, &request)?;
    if !request.route.uuid().is_some_and(|id| servers.store.delete(domain, id)) {
        return Err(ApiError::not_found("data not found"));
    }
    servers.store.save().await.map_err(|error| ApiError::disk(&error))?;
    servers.changed();
    empty(StatusCode::OK)
}
