//! Runs the client: `tests/reference/src/bin/reference-domain-client` as a process.

use std::collections::BTreeMap;
use std::process::Stdio;

use posemesh_devnet::{DataItem, Devnet, DevnetConfig, Endpoint};
use posemesh_tests::{TIMEOUT, reference_domain_client_binary};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;
use uuid::Uuid;

/// A client, and a folder for the files of its uploads.
pub(crate) struct Client<'a> {
    devnet: &'a Devnet,
    variables: BTreeMap<&'static str, String>,
    folder: TempDir,
}

impl<'a> Client<'a> {
    /// A client for the devnet's own domain.
    pub(crate) fn new(devnet: &'a Devnet) -> Self {
        Self::with_token(devnet, devnet.domain_id(), devnet.app_token())
    }

    /// A client with this token for a domain.
    pub(crate) fn with_token(devnet: &'a Devnet, domain: Uuid, token: &str) -> Self {
        let variables = [
            ("DOMAIN_SERVER_URL", devnet.domain_server_url()),
            ("DOMAIN_ACCESS_TOKEN", token.to_owned()),
            ("DOMAIN_ID", domain.to_string()),
            ("CLIENT_ID", "the-suite".to_owned()),
        ];
        Self { devnet, variables: variables.into(), folder: tempfile::tempdir().expect("a folder") }
    }

    /// A client that logs in as the devnet's application with this secret, and gets its token from DDS.
    pub(crate) fn signing_in(devnet: &'a Devnet, secret: &str) -> Self {
        let variables = [
            // In reality the login is on another server; the devnet has one address for all.
            ("API_URL", devnet.dds_url()),
            ("DDS_URL", devnet.dds_url()),
            ("APP_KEY", devnet.app().key.clone()),
            ("APP_SECRET", secret.to_owned()),
            ("DOMAIN_ID", devnet.domain_id().to_string()),
            ("CLIENT_ID", "the-suite".to_owned()),
        ];
        Self { devnet, variables: variables.into(), folder: tempfile::tempdir().expect("a folder") }
    }

    /// Writes a file to be uploaded; returns its path.
    pub(crate) fn file(&self, bytes: &[u8]) -> String {
        let file = self.folder.path().join(Uuid::new_v4().to_string());
        std::fs::write(&file, bytes).expect("a file");
        file.display().to_string()
    }

    /// Runs the client; returns what it prints.
    async fn call(&self, arguments: &[&str]) -> Value {
        let mut command = Command::new(reference_domain_client_binary());
        command.args(arguments).env_clear().envs(&self.variables).stdin(Stdio::null()).kill_on_drop(true);
        let ended = tokio::time::timeout(TIMEOUT, command.output()).await;
        let output = ended.unwrap_or_else(|_| panic!("{arguments:?} has not ended")).expect("it starts");
        let said = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        for (what, secret) in self.devnet.secrets() {
            assert!(!said.contains(&secret) && !errors.contains(&secret), "{arguments:?} prints a {what}");
        }
        assert!(output.status.success(), "{arguments:?}: {errors}");
        serde_json::from_str(&said).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {said}"))
    }

    /// Runs a command that must succeed; returns its result.
    pub(crate) async fn ok(&self, arguments: &[&str]) -> Value {
        let mut said = self.call(arguments).await;
        assert!(said.get("ok").is_some(), "{arguments:?}: {said}");
        said["ok"].take()
    }

    /// Runs a command that the server must refuse; returns the status and the error text of client and server.
    pub(crate) async fn refused(&self, arguments: &[&str]) -> (u64, String) {
        let said = self.call(arguments).await;
        let status = said["refused"]["status"].as_u64();
        let words = said["refused"]["error"].as_str().unwrap_or_default().to_owned();
        (status.unwrap_or_else(|| panic!("{arguments:?}: {said}")), words)
    }

    /// Downloads the data that match these filters; returns metadata and bytes in the order of arrival.
    pub(crate) async fn download(&self, filters: &[&str]) -> Vec<(Value, Vec<u8>)> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().display().to_string();
        let parts = self.ok(&[&["download", path.as_str()], filters].concat()).await;
        let read = |part: &Value| {
            let file = folder.path().join(part["id"].as_str().expect("an id"));
            (part.clone(), std::fs::read(&file).expect("the part's file"))
        };
        parts.as_array().expect("a list").iter().map(read).collect()
    }
}

/// Starts a devnet with a changed configuration.
pub(crate) async fn start(change: impl FnOnce(&mut DevnetConfig)) -> Devnet {
    let mut config = DevnetConfig::default();
    change(&mut config);
    Devnet::start(config).await.expect("a devnet")
}

/// Items as the client prints them: with all metadata.
pub(crate) fn as_json(items: &[DataItem]) -> Value {
    serde_json::to_value(items).expect("JSON")
}

/// The metadata of these data, in this order.
pub(crate) fn items(devnet: &Devnet, ids: &[Uuid]) -> Vec<DataItem> {
    let all = devnet.list_data();
    let find = |id: &Uuid| all.iter().find(|item| item.id == *id).expect("an item").clone();
    ids.iter().map(find).collect()
}

/// The ids of the items that the client has printed.
pub(crate) fn ids(items: &Value) -> Vec<Uuid> {
    let id = |item: &Value| item["id"].as_str().expect("an id").parse().expect("a UUID");
    items.as_array().expect("a list").iter().map(id).collect()
}

/// Number of requests to an endpoint that were answered with 200.
pub(crate) fn count(devnet: &Devnet, endpoint: Endpoint) -> usize {
    let requests = devnet.requests().into_iter();
    requests.filter(|request| request.endpoint == Some(endpoint) && request.status == Some(200)).count()
}

/// Pseudo-random bytes: no two blocks of them are equal.
pub(crate) fn noise(count: usize) -> Vec<u8> {
    let mut state = 7u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..count).map(|_| next()).collect()
}

/// Bytes that look like the end of a part, of a form and of a head.
pub(crate) fn lookalikes() -> Vec<u8> {
    let text = "\r\n--\r\n\r\n--\r\n--bound\r\n\r\n--Boundary--\r\n --boundary--\r\n\n--boundary\r\n\
        Content-Disposition: form-data; id=\"x\"; size=\"3\"\r\n\r\nabc\n\n\r\n--";
    text.as_bytes().to_vec()
}
