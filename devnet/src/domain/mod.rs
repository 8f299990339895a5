//! The domain server: blobs with names, in domains (protocol section 6).

use serde_json::json;
use uuid::Uuid;

pub(crate) mod form;
pub(crate) mod multipart;
pub(crate) mod names;
pub(crate) mod read;
pub(crate) mod session;
pub(crate) mod store;
pub(crate) mod write;

use crate::reply::{Answer, Refusal, json};
use crate::state::{Call, Core};
use crate::tokens::Grant;

pub(crate) fn info(core: &Core) -> Answer {
    json(&json!({"upload": {
        "request_max_bytes": core.config.request_max_bytes,
        "domain_data_max_bytes": core.config.domain_data_max_bytes,
        "multipart": {
            "enabled": core.config.multipart_enabled,
            "part_size_bytes": core.config.part_size,
        },
    }}))
}

/// The domain of a request, if its token is for that domain.
pub(crate) fn authorize(core: &Core, call: &Call) -> Result<Uuid, Refusal> {
    let grant = core.grant(&call.headers)?;
    let domain = Uuid::parse_str(&call.route.domain).ok().filter(|id| core.store.has_domain(*id));
    match (grant, domain) {
        (Grant::App, Some(domain)) => Ok(domain),
        (Grant::App, None) => Err(Refusal::not_found("domain not found")),
        (Grant::Task { domain: granted, .. } | Grant::Domain(granted), Some(domain)) if granted == domain => {
            Ok(domain)
        }
        (Grant::Task { .. } | Grant::Domain(_), _) => Err(Refusal::forbidden("invalid domain access token")),
        (Grant::Node(_) | Grant::Robot(_), _) => Err(Refusal::unauthorized("not a domain access token")),
    }
}
