//! Which tokens give access to which domain.

use uuid::Uuid;

use crate::request::ApiRequest;
use crate::response::ApiError;
use crate::servers::Servers;
use crate::tokens::TokenGrant;

/// The domain of a request, if its token gives access to that domain.
pub(crate) fn authorize(servers: &Servers, request: &ApiRequest) -> Result<Uuid, ApiError> {
    let grant = servers.grant(&request.headers)?;
    let domain = Uuid::parse_str(&request.route.domain).ok().filter(|id| servers.store.has_domain(*id));
    match grant {
        TokenGrant::App => domain.ok_or_else(|| ApiError::not_found("domain not found")),
        // A token for one domain does not reveal which others exist.
        TokenGrant::Task { domain: granted, .. } | TokenGrant::Domain(granted) => domain
            .filter(|domain| *domain == granted)
            .ok_or_else(|| ApiError::forbidden("invalid domain access token")),
        TokenGrant::Node(_) | TokenGrant::Robot(_) => {
            Err(ApiError::unauthorized("not a domain access token"))
        }
    }
}
