//! What all tasks of a node share for their requests.

use reqwest::header::HeaderValue;

use crate::api::error::DomainError;
use crate::api::settings::RequestSettings;

/// The node's connections to domain servers, and its name there.
#[derive(Debug)]
pub(crate) struct DomainHttp {
    pub(crate) client: reqwest::Client,
    /// Value of `posemesh-client-id`.
    pub(crate) client_id: HeaderValue,
    pub(crate) settings: RequestSettings,
}

impl DomainHttp {
    /// # Errors
    /// [`DomainError::Settings`] when the client id can't be sent in a header, or TLS can't be set up.
    pub(crate) fn new(client_id: &str, settings: RequestSettings) -> Result<Self, DomainError> {
        let client_id = HeaderValue::from_str(client_id)
            .ok()
            .filter(|id| !id.is_empty())
            .ok_or_else(|| DomainError::Settings("the client id can't be sent in a header".to_owned()))?;
        let client = posemesh_net::http::client_builder()
            .connect_timeout(settings.connect_timeout)
            .tcp_user_timeout(settings.longest_silence())
            .build()
            .map_err(|error| DomainError::Settings(posemesh_net::http::cause(&error)))?;
        Ok(Self { client, client_id, settings })
    }
}
