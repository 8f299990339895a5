//! Finds the endpoint of a request before anything else happens to the request, so that faults and records
//! can name endpoints rather than paths.

use http::{HeaderMap, Method, header};
use uuid::Uuid;

use crate::endpoint::Endpoint;

/// An endpoint with the ids of the path, still as text: each endpoint has its own answer to an id that is
/// no UUID.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) endpoint: Endpoint,
    /// The domain id; empty if the path names none.
    pub(crate) domain: String,
    /// The task, job, data or upload id; empty if there is none.
    pub(crate) id: String,
}

/// Why a request has no route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RouteError {
    UnknownPath,
    WrongMethod,
}

impl Route {
    /// Finds the endpoint. Repeated slashes count as one and a trailing slash is ignored: clients that join
    /// a base URL and a path carelessly are served all the same (protocol 9).
    pub(crate) fn find(
        method: &Method,
        path: &str,
        query: &QueryParams,
        headers: &HeaderMap,
    ) -> Result<Self, RouteError> {
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let resource = dds_resource(&segments)
            .or_else(|| dms_resource(&segments))
            .or_else(|| domain_resource(&segments, query, headers))
            .ok_or(RouteError::UnknownPath)?;
        let mut methods = resource.methods.into_iter();
        let (_, endpoint) = methods.find(|(known, _)| known == method).ok_or(RouteError::WrongMethod)?;
        Ok(Self { endpoint, domain: resource.domain.to_owned(), id: resource.id.to_owned() })
    }

    /// [`Self::id`], if it is a UUID.
    pub(crate) fn uuid(&self) -> Option<Uuid> {
        Uuid::parse_str(&self.id).ok()
    }
}

/// A path that a server knows: the ids in it, and the endpoint of each method.
struct Resource<'a> {
    domain: &'a str,
    id: &'a str,
    methods: Vec<(Method, Endpoint)>,
}

impl<'a> Resource<'a> {
    fn new(methods: Vec<(Method, Endpoint)>) -> Self {
        Self { domain: "", id: "", methods }
    }

    fn with_id(id: &'a str, methods: Vec<(Method, Endpoint)>) -> Self {
        Self { id, ..Self::new(methods) }
    }
}

fn dds_resource<'a>(segments: &[&'a str]) -> Option<Resource<'a>> {
    if let ["api", "v1", "domains", domain, "auth"] = segments {
        let methods = vec![(Method::POST, Endpoint::DomainToken)];
        return Some(Resource { domain, ..Resource::new(methods) });
    }
    let endpoint = match segments {
        ["internal", "v1", "auth", "siwe", "request"] => Endpoint::SiweRequest,
        ["internal", "v1", "auth", "siwe", "verify"] => Endpoint::SiweVerify,
        ["internal", "v1", "nodes", "register-wallet"] => Endpoint::RegisterWallet,
        ["internal", "v1", "robots", "register"] => Endpoint::RobotRegister,
        ["internal", "v1", "auth", "robot", "verify"] => Endpoint::RobotVerify,
        ["service", "domains-access-token"] => Endpoint::AppToken,
        _ => return None,
    };
    Some(Resource::new(vec![(Method::POST, endpoint)]))
}

fn dms_resource<'a>(segments: &[&'a str]) -> Option<Resource<'a>> {
    // The base URL of DMS may be configured with or without the version.
    match segments.strip_prefix(["v1"].as_slice()).unwrap_or(segments) {
        ["health"] => Some(Resource::new(vec![(Method::GET, Endpoint::Health)])),
        ["tasks"] => Some(Resource::new(vec![(Method::GET, Endpoint::Lease)])),
        ["tasks", id, "heartbeat"] => Some(Resource::with_id(id, vec![(Method::POST, Endpoint::Heartbeat)])),
        ["tasks", id, "complete"] => Some(Resource::with_id(id, vec![(Method::POST, Endpoint::Complete)])),
        ["tasks", id, "fail"] => Some(Resource::with_id(id, vec![(Method::POST, Endpoint::Fail)])),
        ["jobs"] => {
            let methods = vec![(Method::GET, Endpoint::ListJobs), (Method::POST, Endpoint::SubmitJob)];
            Some(Resource::new(methods))
        }
        ["jobs", id] => {
            let methods = vec![(Method::GET, Endpoint::GetJob), (Method::DELETE, Endpoint::DeleteJob)];
            Some(Resource::with_id(id, methods))
        }
        ["jobs", id, "cancel"] => Some(Resource::with_id(id, vec![(Method::POST, Endpoint::CancelJob)])),
        _ => None,
    }
}

fn domain_resource<'a>(
    segments: &[&'a str],
    query: &'a QueryParams,
    headers: &HeaderMap,
) -> Option<Resource<'a>> {
    if segments == ["api", "v1", "info"] {
        return Some(Resource::new(vec![(Method::GET, Endpoint::Info)]));
    }
    let ["api", "v1", "domains", domain, "data", rest @ ..] = segments else { return None };
    let (id, methods) = match rest {
        [] => {
            let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
            let wants_content =
                accept.is_some_and(|accept| accept.to_ascii_lowercase().contains("multipart/form-data"));
            let get = if wants_content { Endpoint::DownloadData } else { Endpoint::ListData };
            let methods = vec![
                (Method::GET, get),
                (Method::POST, Endpoint::CreateData),
                (Method::PUT, Endpoint::UpdateData),
            ];
            ("", methods)
        }
        ["multipart"] => {
            let begins = query.get("uploads").is_some();
            let post = if begins { Endpoint::MultipartInitiate } else { Endpoint::MultipartComplete };
            let methods = vec![
                (Method::POST, post),
                (Method::PUT, Endpoint::MultipartPart),
                (Method::DELETE, Endpoint::MultipartAbort),
            ];
            (query.get("uploadId").unwrap_or_default(), methods)
        }
        [id] => {
            let raw = query.get("raw") == Some("true");
            let get = if raw { Endpoint::GetRawData } else { Endpoint::GetData };
            (*id, vec![(Method::GET, get), (Method::DELETE, Endpoint::DeleteData)])
        }
        _ => return None,
    };
    Some(Resource { domain, id, methods })
}

/// The percent-decoded parameters of a query, in the order in which they were sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct QueryParams(Vec<(String, String)>);

impl QueryParams {
    pub(crate) fn parse(query: Option<&str>) -> Self {
        Self(url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect())
    }

    /// The first value of a parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// All values of a parameter that may be repeated.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests;
