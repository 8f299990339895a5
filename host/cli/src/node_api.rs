//! The commands that ask a running node, by its status server.

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use super::args::NodeArgs;
use super::runner_list;
use posemesh_net::http::{client_builder, read_body};
use posemesh_node_core::config::{Environment, USUAL_ADDR, environment};
use posemesh_plugin_host::registry::RunnerView;

/// The longest answer that is read.
const LONGEST_ANSWER: usize = 16 << 20;
/// A rescan compiles before it answers.
const PATIENCE: Duration = Duration::from_secs(310);

/// A node that runs somewhere.
struct Node {
    addr: SocketAddr,
    admin_token: Option<String>,
}

#[derive(Deserialize)]
struct Plugins {
    plugins: Vec<RunnerView>,
}

impl Node {
    fn find(args: &NodeArgs) -> anyhow::Result<Self> {
        let environment = environment(args.env_file.as_deref())?;
        let addr = match (args.status_addr, environment.get("STATUS_ADDR")) {
            (Some(addr), _) => addr,
            (None, Some((text, _))) => text.parse().with_context(|| {
                format!("STATUS_ADDR={text} is no address; name the node's with --status-addr IP:PORT")
            })?,
            (None, None) => USUAL_ADDR,
        };
        let admin_token = token(&environment);
        Ok(Self { addr, admin_token })
    }

    async fn call(&self, method: Method, path: &str) -> anyhow::Result<Value> {
        let url = format!("http://{}{path}", self.addr);
        let client = client_builder().no_proxy().timeout(PATIENCE).build()?;
        let admin = method == Method::POST;
        let mut request = client.request(method, &url);
        if let Some(token) = self.admin_token.as_ref().filter(|_| admin) {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.map_err(|error| {
            let error = error.without_url();
            anyhow::anyhow!(
                "no node answers at {url}: {error}; is it running, with this STATUS_ADDR? --status-addr names another"
            )
        })?;
        let status = response.status();
        let body = read_body(response, LONGEST_ANSWER).await.with_context(|| format!("reading {url}"))?;
        let answer: Value = serde_json::from_slice(&body).with_context(|| {
            format!("{url} answered {status} with something that is no JSON; is that a node?")
        })?;
        let reason = answer.get("error").and_then(Value::as_str).unwrap_or_default();
        match status {
            StatusCode::OK | StatusCode::ACCEPTED => Ok(answer),
            StatusCode::UNAUTHORIZED => {
                bail!("{url}: the node refuses the ADMIN_TOKEN of this environment: {reason}")
            }
            _ => bail!("{url} answered {status}: {reason}"),
        }
    }
}

fn token(environment: &Environment) -> Option<String> {
    environment.get("ADMIN_TOKEN").map(|(token, _)| token.to_owned())
}

/// `plugin list` without a folder.
///
/// # Errors
/// When no node answers.
pub async fn list(args: &NodeArgs) -> anyhow::Result<ExitCode> {
    print(Node::find(args)?.call(Method::GET, "/api/plugins").await?)
}

/// `plugin rescan`.
///
/// # Errors
/// When no node answers, or it refuses.
pub async fn rescan(args: &NodeArgs) -> anyhow::Result<ExitCode> {
    print(Node::find(args)?.call(Method::POST, "/api/admin/rescan").await?)
}

/// `plugin rollback`.
///
/// # Errors
/// When no node answers, or it refuses.
pub async fn rollback(name: &str, args: &NodeArgs) -> anyhow::Result<ExitCode> {
    // People complete file names.
    let name = Path::new(name).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let name = name.strip_suffix(".wasm").unwrap_or(&name);
    let mut url = reqwest::Url::parse("http://node/api/admin/rollback")?;
    url.path_segments_mut().map_err(|()| anyhow::anyhow!("no path"))?.push(name);
    let answer = Node::find(args)?.call(Method::POST, url.path()).await?;
    let live = answer.get("live").and_then(Value::as_str).unwrap_or_default();
    println!(
        "{live} serves now; the file in PLUGINS_DIR is still the newer one: replace it before the node is started anew"
    );
    Ok(ExitCode::SUCCESS)
}

fn print(answer: Value) -> anyhow::Result<ExitCode> {
    let listed: Plugins = serde_json::from_value(answer).context("reading the node's answer")?;
    if listed.plugins.is_empty() {
        println!("the node has no runners: its PLUGINS_DIR holds no NAME.wasm");
    }
    print!("{}", runner_list::text(&listed.plugins));
    let refused = listed.plugins.iter().any(|runner| runner.refused.is_some());
    Ok(if refused { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
