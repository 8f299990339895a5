#![allow(clippy::unwrap_used)]

use super::*;

fn endpoint(method: Method, path: &str, query: &str, accept: &'static str) -> Result<Endpoint, RouteError> {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT, http::HeaderValue::from_static(accept));
    Route::find(&method, path, &QueryParams::parse(Some(query)), &headers).map(|route| route.endpoint)
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
    assert_eq!(endpoint(Method::PUT, "/tasks", "", "*/*"), Err(RouteError::WrongMethod));
    assert_eq!(endpoint(Method::GET, "/internal/v1/tasks", "", "*/*"), Err(RouteError::UnknownPath));
}
