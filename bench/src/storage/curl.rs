//! curl, which downloads into a pipe and uploads from it: the least that a program can do to copy.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use posemesh_devnet::Devnet;
use tokio::process::Command;
use uuid::Uuid;

use crate::storage::limits::copy_timeout;

/// The raw bytes, between the head and the end of the form of a create request (protocol 6.8). `Expect` is
/// off: it would only make curl wait before it sends.
const COPY: &str = r#"
set -- --silent --show-error --fail --noproxy '*' --max-time "$MAX_TIME" -H "Authorization: Bearer $TOKEN"
{ printf '%s\r\n' "$HEAD" ''; curl "$@" "$FROM"; printf '\r\n--boundary--\r\n'; } |
curl "$@" -H 'Content-Type: multipart/form-data; boundary=boundary' -H 'Expect:' -X POST -T - "$TO"
"#;

/// Name and version of the installed curl.
///
/// # Errors
/// When it is not installed.
pub(crate) async fn version() -> Result<String> {
    let said = Command::new("curl").arg("--version").output().await.context(
        "running `curl`, which our throughput is compared with: install it (`apt-get install curl`, \
         `dnf install curl`, `brew install curl`)",
    )?;
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    Ok(said.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
}

/// Copies an input; returns the time from the start of both curls to the end of both.
pub(crate) async fn copy(devnet: &Devnet, input: Uuid, bytes: u64) -> Result<Duration> {
    let name = format!("curl_{}", Uuid::new_v4());
    let head = format!(
        "--boundary\r\nContent-Type: application/octet-stream\r\n\
         Content-Disposition: form-data; name=\"{name}\"; data-type=\"binary\""
    );
    let from = format!("{}?raw=true", devnet.data_url(input));
    let to = format!("{}/api/v1/domains/{}/data", devnet.domain_server_url(), devnet.domain_id());
    let began = Instant::now();
    let child = Command::new("sh")
        .args(["-c", COPY])
        .env("MAX_TIME", copy_timeout(bytes).as_secs().to_string())
        .env("TOKEN", devnet.app_token())
        .env("HEAD", head)
        .env("FROM", from)
        .env("TO", to)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let ended = child.await.context("running a shell with curl")?;
    let took = began.elapsed();
    let said = String::from_utf8_lossy(&ended.stderr);
    ensure!(
        ended.status.success(),
        "curl did not copy: {}, {} {}",
        ended.status,
        said.trim(),
        String::from_utf8_lossy(&ended.stdout).trim()
    );
    Ok(took)
}
