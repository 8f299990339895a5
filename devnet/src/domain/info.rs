//! The limits for uploads, for clients to choose the kind of upload by (protocol 6.7).

use serde_json::json;

use crate::response::{ApiResult, json};
use crate::servers::Servers;

pub(crate) fn get(servers: &Servers) -> ApiResult {
    json(&json!({"upload": {
        "request_max_bytes": servers.config.request_max_bytes,
        "domain_data_max_bytes": servers.config.domain_data_max_bytes,
        "multipart": {
            "enabled": servers.config.multipart_enabled,
            "part_size_bytes": servers.config.part_size,
        },
    }}))
}
