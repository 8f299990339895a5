//! The HTTP client of the suites.

use posemesh_net::http::client_builder;
use reqwest::Client;

use crate::scene::TIMEOUT;

/// A client that gives up after [`TIMEOUT`] and uses no proxy: everything is on this machine.
pub fn http_client() -> Client {
    client_builder().no_proxy().timeout(TIMEOUT).build().expect("a client")
}
