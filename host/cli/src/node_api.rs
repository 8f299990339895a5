//! The status API of a running node, for the commands that ask it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use posemesh_net::http::{client_builder, read_body};
use posemesh_node_core::config::DEFAULT_STATUS_ADDR;
use posemesh_plugin_host::registry::RunnerView;
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use serde_json::Value;

use crate::env_file::EnvFileArgs;

/// Bytes of the longest answer that is read.
const MAX_ANSWER_BYTES: usize = 16 << 20;
/// A rescan answers after it has compiled every new component, each within COMPILE_TIMEOUT_SECS.
const TIMEOUT: Duration = Duration::from_secs(310);

/// Which running node is asked.
#[derive(Debug, Args)]
pub(crate) struct NodeApiArgs {
    /// Address of the node's status server. Default: STATUS_ADDR, or 127.0.0.1:8090.
    #[arg(long, value_name = "IP:PORT")]
    status_addr: Option<SocketAddr>,
    #[command(flatten)]
    env_file: EnvFileArgs,
}

/// A client of one node's status API.
pub(crate) struct NodeApi {
    addr: SocketAddr,
    admin_token: Option<String>,
}

#[derive(Deserialize)]
struct RunnersAnswer {
    plugins: Vec<RunnerView>,
}

impl NodeApi {
    /// A client for the node that the arguments name.
    ///
    /// # Errors
    /// When the file of variables can't be read, or STATUS_ADDR is no address.
    pub(crate) fn new(args: &NodeApiArgs) -> Result<Self> {
        let environment = args.env_file.environment()?;
        let addr = match (args.status_addr, environment.get("STATUS_ADDR")) {
            (Some(addr), _) => addr,
            (None, Some((text, _))) => text.parse().with_context(|| {
                format!("STATUS_ADDR={text} is not an address; give the node's with --status-addr IP:PORT")
            })?,
            (None, None) => DEFAULT_STATUS_ADDR,
        };
        let admin_token = environment.get("ADMIN_TOKEN").map(|(token, _)| token.to_owned());
        Ok(Self { addr, admin_token })
    }

    /// The node's runners.
    ///
    /// # Errors
    /// When no node answers.
    pub(crate) async fn runners(&self) -> Result<Vec<RunnerView>> {
        runners_in(self.call(Method::GET, "/api/plugins").await?)
    }

    /// Has the node scan its folder of runners; the runners afterwards.
    ///
    /// # Errors
    /// When no node answers, or it rejects the call.
    pub(crate) async fn rescan(&self) -> Result<Vec<RunnerView>> {
        runners_in(self.call(Method::POST, "/api/admin/rescan").await?)
    }

    /// Has the node return to a runner's previous generation; the label of the one that is live now.
    ///
    /// # Errors
    /// When no node answers, or it rejects the call.
    pub(crate) async fn roll_back(&self, runner: &str) -> Result<String> {
        // Only the path is used: it escapes what a name may contain and a path may not.
        let mut url = Url::parse("http://node/api/admin/rollback")?;
        url.path_segments_mut().map_err(|()| anyhow!("a URL without a path"))?.push(runner);
        let answer = self.call(Method::POST, url.path()).await?;
        Ok(answer.get("live").and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    async fn call(&self, method: Method, path: &str) -> Result<Value> {
        let url = format!("http://{}{path}", self.addr);
        let client = client_builder().no_proxy().timeout(TIMEOUT).build()?;
        let needs_token = method == Method::POST;
        let mut request = client.request(method, &url);
        if let Some(token) = self.admin_token.as_ref().filter(|_| needs_token) {
            request = request.bearer_auth(token);
        }
        let response = request.send().await.map_err(|error| {
            let error = error.without_url();
            anyhow!(
                "no node answers at {url}: {error}. Is it running with this STATUS_ADDR? \
                 --status-addr gives another address"
            )
        })?;
        let status = response.status();
        let body = read_body(response, MAX_ANSWER_BYTES).await.with_context(|| format!("reading {url}"))?;
        let answer: Value = serde_json::from_slice(&body).with_context(|| {
            format!("{url} answered {status} with a body that is not JSON; is it a posemesh-node?")
        })?;
        let reason = answer.get("error").and_then(Value::as_str).unwrap_or_default();
        match status {
            StatusCode::OK | StatusCode::ACCEPTED => Ok(answer),
            StatusCode::UNAUTHORIZED => {
                bail!("{url}: the node rejects the ADMIN_TOKEN of this environment: {reason}")
            }
            _ => bail!("{url} answered {status}: {reason}"),
        }
    }
}

fn runners_in(answer: Value) -> Result<Vec<RunnerView>> {
    let answer: RunnersAnswer = serde_json::from_value(answer).context("reading the node's answer")?;
    Ok(answer.plugins)
}
