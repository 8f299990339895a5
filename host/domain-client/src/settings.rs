//! What an operator or a test may choose about the client of domain servers.

use uuid::Uuid;

use crate::api::settings::RequestSettings;
use crate::download::settings::DownloadSettings;
use crate::upload::settings::UploadSettings;

/// Settings of a [`DomainClient`](crate::DomainClient). Each part of the client gets only its own.
#[derive(Debug, Clone)]
pub struct DomainSettings {
    /// Value of `posemesh-client-id` (protocol 6). One per node, not one per task: domain servers account by it.
    pub client_id: String,
    /// Whether `http://` is accepted for servers that are not on this machine. Tokens then travel unencrypted.
    pub allow_plain_http: bool,
    /// Times and retries of every request.
    pub requests: RequestSettings,
    /// Limits of inputs.
    pub downloads: DownloadSettings,
    /// Limits of artifacts.
    pub uploads: UploadSettings,
}

impl Default for DomainSettings {
    fn default() -> Self {
        Self {
            client_id: format!("posemesh-compute-node/{}", Uuid::new_v4()),
            allow_plain_http: false,
            requests: RequestSettings::default(),
            downloads: DownloadSettings::default(),
            uploads: UploadSettings::default(),
        }
    }
}
