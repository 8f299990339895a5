//! Which endpoint a request is for. Known before anything else happens to the request, so that faults
//! and records name endpoints and not paths.

use http::{HeaderMap, Method, header};
use uuid::Uuid;

/// One of the three servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The discovery service (protocol section 1).
    Dds,
    /// The job server (section 3).
    Dms,
    /// The domain server (section 6).
    Domain,
}

/// What a client can ask of the devnet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `GET /health`
    Health,
    /// `POST /internal/v1/auth/siwe/request` (1.2)
    SiweRequest,
    /// `POST /internal/v1/nodes/register-wallet` (1.4)
    RegisterWallet,
    /// `POST /internal/v1/auth/siwe/verify` (1.7)
    SiweVerify,
    /// `POST /internal/v1/robots/register` (1.9)
    RobotRegister,
    /// `POST /internal/v1/auth/robot/verify` (1.9)
    RobotVerify,
    /// `POST /service/domains-access-token` (6.12)
    AppToken,
    /// `POST /api/v1/domains/{id}/auth` (1.11)
    DomainToken,
    /// `GET /tasks` (3.2)
    Lease,
    /// `POST /tasks/{id}/heartbeat` (3.4)
    Heartbeat,
    /// `POST /tasks/{id}/complete` (3.5)
    Complete,
    /// `POST /tasks/{id}/fail` (3.6)
    Fail,
    /// `POST /jobs` (3.7)
    SubmitJob,
    /// `GET /jobs` (3.7)
    ListJobs,
    /// `GET /jobs/{id}` (3.7)
    GetJob,
    /// `POST /jobs/{id}/cancel` (3.7)
    CancelJob,
    /// `DELETE /jobs/{id}` (3.7)
    DeleteJob,
    /// `GET /api/v1/info` (6.7)
    Info,
    /// `GET …/data` (6.1)
    ListData,
    /// `GET …/data` with Accept `multipart/form-data` (6.2)
    DownloadData,
    /// `POST …/data` (6.8)
    CreateData,
    /// `PUT …/data` (6.8)
    UpdateData,
    /// `GET …/data/{id}` (6.3)
    GetData,
    /// `GET …/data/{id}?raw=true` (6.3)
    GetRawData,
    /// `DELETE …/data/{id}` (6.3)
    DeleteData,
    /// `POST …/data/multipart?uploads` (6.9)
    MultipartInitiate,
    /// `PUT …/data/multipart?uploadId&partNumber` (6.9)
    MultipartPart,
    /// `POST …/data/multipart?uploadId` (6.9)
    MultipartComplete,
    /// `DELETE …/data/multipart?uploadId` (6.9)
    MultipartAbort,
}

impl Endpoint {
    /// Whose endpoint it is.
    pub fn role(self) -> Role {
        use Endpoint::*;
        match self {
            Health | SiweRequest | RegisterWallet | SiweVerify | RobotRegister | RobotVerify | AppToken
            | DomainToken => Role::Dds,
            Lease | Heartbeat | Complete | Fail | SubmitJob | ListJobs | GetJob | CancelJob | DeleteJob => {
                Role::Dms
            }
            _ => Role::Domain,
        }
    }
}

/// An endpoint with the ids of its path, as text: whether they are ids is for the endpoint to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) endpoint: Endpoint,
    /// The domain of a path that names one.
    pub(crate) domain: String,
    /// The task, job or data id.
    pub(crate) id: String,
}

/// Why there is no route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoRoute {
    UnknownPath,
    WrongMethod,
}

impl Route {
    /// Slashes count once, and one at the end does not count.
    pub(crate) fn find(
        method: &Method,
        path: &str,
        query: &Query,
        headers: &HeaderMap,
    ) -> Result<Self, NoRoute> {
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        // DMS answers with and without its version.
        let dms = segments.strip_prefix(["v1"].as_slice()).unwrap_or(&segments);
        let plain = |endpoint| Self { endpoint, domain: String::new(), id: String::new() };
        let with_id = |endpoint, id: &str| Self { endpoint, domain: String::new(), id: id.to_owned() };

        use Endpoint::*;
        let choices: Vec<(Method, Self)> = match (dms, segments.as_slice()) {
            (["tasks"], _) => vec![(Method::GET, plain(Lease))],
            (["tasks", id, "heartbeat"], _) => vec![(Method::POST, with_id(Heartbeat, id))],
            (["tasks", id, "complete"], _) => vec![(Method::POST, with_id(Complete, id))],
            (["tasks", id, "fail"], _) => vec![(Method::POST, with_id(Fail, id))],
            (["jobs"], _) => vec![(Method::GET, plain(ListJobs)), (Method::POST, plain(SubmitJob))],
            (["jobs", id], _) => {
                vec![(Method::GET, with_id(GetJob, id)), (Method::DELETE, with_id(DeleteJob, id))]
            }
            (["jobs", id, "cancel"], _) => vec![(Method::POST, with_id(CancelJob, id))],
            (["health"], _) => vec![(Method::GET, plain(Health))],
            (_, ["internal", "v1", "auth", "siwe", "request"]) => vec![(Method::POST, plain(SiweRequest))],
            (_, ["internal", "v1", "auth", "siwe", "verify"]) => vec![(Method::POST, plain(SiweVerify))],
            (_, ["internal", "v1", "nodes", "register-wallet"]) => {
                vec![(Method::POST, plain(RegisterWallet))]
            }
            (_, ["internal", "v1", "robots", "register"]) => vec![(Method::POST, plain(RobotRegister))],
            (_, ["internal", "v1", "auth", "robot", "verify"]) => vec![(Method::POST, plain(RobotVerify))],
            (_, ["service", "domains-access-token"]) => vec![(Method::POST, plain(AppToken))],
            (_, ["api", "v1", "domains", domain, "auth"]) => {
                vec![(Method::POST, Self { domain: (*domain).to_owned(), ..plain(DomainToken) })]
            }
            (_, ["api", "v1", "info"]) => vec![(Method::GET, plain(Info))],
            (_, ["api", "v1", "domains", domain, "data", rest @ ..]) => {
                data_routes(domain, rest, query, headers)
            }
            _ => Vec::new(),
        };
        let none = if choices.is_empty() { NoRoute::UnknownPath } else { NoRoute::WrongMethod };
        choices.into_iter().find(|(allowed, _)| allowed == method).map(|(_, route)| route).ok_or(none)
    }

    pub(crate) fn uuid(&self) -> Option<Uuid> {
        Uuid::parse_str(&self.id).ok()
    }
}

fn data_routes(domain: &str, rest: &[&str], query: &Query, headers: &HeaderMap) -> Vec<(Method, Route)> {
    use Endpoint::*;
    let route = |endpoint, id: &str| Route { endpoint, domain: domain.to_owned(), id: id.to_owned() };
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match rest {
        [] => {
            let wants_parts = accept.to_ascii_lowercase().contains("multipart/form-data");
            let read = if wants_parts { DownloadData } else { ListData };
            vec![
                (Method::GET, route(read, "")),
                (Method::POST, route(CreateData, "")),
                (Method::PUT, route(UpdateData, "")),
            ]
        }
        ["multipart"] => {
            let begin = query.get("uploads").is_some();
            let upload = query.get("uploadId").unwrap_or_default();
            let post = if begin { MultipartInitiate } else { MultipartComplete };
            vec![
                (Method::POST, route(post, upload)),
                (Method::PUT, route(MultipartPart, upload)),
                (Method::DELETE, route(MultipartAbort, upload)),
            ]
        }
        [id] => {
            let raw = query.get("raw") == Some("true");
            let read = if raw { GetRawData } else { GetData };
            vec![(Method::GET, route(read, id)), (Method::DELETE, route(DeleteData, id))]
        }
        _ => Vec::new(),
    }
}

/// The decoded query of a request, in its order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(query: Option<&str>) -> Self {
        Self(url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn endpoint(method: Method, path: &str, query: &str, accept: &'static str) -> Result<Endpoint, NoRoute> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, http::HeaderValue::from_static(accept));
        Route::find(&method, path, &Query::parse(Some(query)), &headers).map(|route| route.endpoint)
    }

    #[test]
    fn paths_methods_queries_and_accept_choose_the_endpoint() {
        let data = "/api/v1/domains/d/data";
        let multipart = "/api/v1/domains/d/data/multipart";
        for (method, path, query, accept, want) in [
            (Method::GET, "/v1/tasks", "capability=c", "*/*", Endpoint::Lease),
            (Method::GET, "/v1//tasks", "", "*/*", Endpoint::Lease),
            (Method::GET, "/tasks", "", "*/*", Endpoint::Lease),
            (Method::POST, "/tasks/x/heartbeat", "", "*/*", Endpoint::Heartbeat),
            (Method::DELETE, "/v1/jobs/x", "", "*/*", Endpoint::DeleteJob),
            (Method::POST, "/api/v1/domains/d/auth", "", "*/*", Endpoint::DomainToken),
            (Method::GET, data, "", "application/json", Endpoint::ListData),
            (Method::GET, data, "ids=a", "multipart/form-data", Endpoint::DownloadData),
            (Method::GET, "/api/v1/domains/d/data/x", "", "*/*", Endpoint::GetData),
            (Method::GET, "/api/v1/domains/d/data/x", "raw=true", "*/*", Endpoint::GetRawData),
            (Method::POST, multipart, "uploads", "*/*", Endpoint::MultipartInitiate),
            (Method::POST, multipart, "uploadId=u", "*/*", Endpoint::MultipartComplete),
            (Method::PUT, multipart, "uploadId=u&partNumber=1", "*/*", Endpoint::MultipartPart),
        ] {
            assert_eq!(endpoint(method.clone(), path, query, accept), Ok(want), "{method} {path}?{query}");
        }
        assert_eq!(endpoint(Method::PUT, "/tasks", "", "*/*"), Err(NoRoute::WrongMethod));
        assert_eq!(endpoint(Method::GET, "/internal/v1/tasks", "", "*/*"), Err(NoRoute::UnknownPath));
    }
}
