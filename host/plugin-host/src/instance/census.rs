//! What a guest's handles make the host hold, counted by going through them.
//!
//! They are made by many functions, most of them wasmtime's, so they are counted where all of them end up: in the
//! store's tables, at each epoch tick. What one call can add is bounded by itself (hostcall fuel, the size of a body's
//! buffer, of fields, of a listing), so that what is added between two ticks is as well.

use std::any::Any;

use wasmtime::component::ResourceTable;
use wasmtime_wasi_http::FieldMap;
use wasmtime_wasi_http::p2::bindings::http::types::Method;
use wasmtime_wasi_http::p2::body::HostIncomingBody;
use wasmtime_wasi_http::p2::types::{HostFutureIncomingResponse, HostIncomingResponse, HostOutgoingRequest};

use crate::instance::filesystem::listing::Listing;
use crate::instance::outbound::BODY_BUFFER;
use crate::instance::resources::{InputHandle, PartHandle};

/// Any handle: its entry in the table, the box behind it, and what a small thing holds.
const HANDLE: u64 = 512;
/// A task, a stream or a future of WASI 0.3, both of its ends.
const CONCURRENT: u64 = 1 << 10;
/// A header beside its name and value.
const HEADER: u64 = 128;

/// Bytes that are held for the handles of WASI and of the ports.
pub(crate) fn handles(table: &mut ResourceTable) -> u64 {
    table.iter_mut().map(|entry| HANDLE.saturating_add(behind(entry))).fold(0, u64::saturating_add)
}

/// Bytes that are held for what WASI 0.3 does at the same time.
pub(crate) fn concurrent(table: &mut ResourceTable) -> u64 {
    (table.iter_mut().count() as u64).saturating_mul(CONCURRENT)
}

/// What is held beyond the entry itself.
fn behind(entry: &mut (dyn Any + Send)) -> u64 {
    if let Some(request) = entry.downcast_ref::<HostOutgoingRequest>() {
        let method = match &request.method {
            Method::Other(name) => name.len() as u64,
            _ => 0,
        };
        let target = [&request.authority, &request.path_with_query];
        let target: u64 = target.into_iter().flatten().map(|text| text.len() as u64).sum();
        // What is written before a request is sent waits in its body.
        let body = if request.body.is_some() { BODY_BUFFER } else { 0 };
        return method + target + body + fields(&request.headers);
    }
    if let Some(map) = entry.downcast_ref::<FieldMap>() {
        return fields(map);
    }
    if let Some(response) = entry.downcast_ref::<HostIncomingResponse>() {
        let body = if response.body.is_some() { BODY_BUFFER } else { 0 };
        return body + fields(&response.headers);
    }
    if entry.is::<HostFutureIncomingResponse>() || entry.is::<HostIncomingBody>() {
        return BODY_BUFFER;
    }
    if let Some(listing) = entry.downcast_ref::<Listing>() {
        return listing.bytes();
    }
    if let Some(input) = entry.downcast_ref::<InputHandle>() {
        return input.download.try_lock().map_or(0, |download| download.held());
    }
    // A part is held by its input's download; once that handle is gone, each part counts all of it, which is more than
    // there is.
    if let Some(part) = entry.downcast_ref::<PartHandle>() {
        return part.download.try_lock().map_or(0, |download| download.held_for_one());
    }
    0
}

fn fields(map: &FieldMap) -> u64 {
    map.iter().map(|(name, value)| HEADER + name.as_str().len() as u64 + value.len() as u64).sum()
}
