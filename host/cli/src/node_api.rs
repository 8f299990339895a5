//! The status API of a running node, for the commands that ask it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use posemesh_net::http::{client_builder, read_body};
use posemesh_net::secret::Secret;
use posemesh_node_core::config::{ADMIN_TOKEN, DEFAULT_STATUS_ADDR, Environment};
use posemesh_node_core::node::NodeIdentity;
use posemesh_node_core::shutdown::AfterDrain;
use posemesh_plugin_host::registry::RunnerView;
use posemesh_text::one_line;
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use serde_json::Value;

use crate::env_file::EnvFileArgs;

/// Bytes of the longest answer that is read.
const MAX_ANSWER_BYTES: usize = 16 << 20;
/// How much of the node's reason for an error is shown: it may quote a runner.
const REASON_BYTES: usize = 4096;
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

impl NodeApiArgs {
    /// The environment that the node is looked up in.
    ///
    /// # Errors
    /// When the file of variables can't be read.
    pub(crate) fn environment(&self) -> Result<Environment> {
        self.env_file.environment()
    }
}

/// A client of one node's status API.
pub(crate) struct NodeApi {
    addr: SocketAddr,
    admin_token: Option<Secret>,
    /// `PLUGINS_DIR` of the node that is meant; none if the address was given in so many words, or nothing is known.
    plugins_dir: Option<PathBuf>,
}

#[derive(Deserialize)]
struct RunnersAnswer {
    plugins: Vec<RunnerView>,
}

impl NodeApi {
    /// A client for the node that the arguments name.
    ///
    /// # Errors
    /// When the file of variables or of the token can't be read, or STATUS_ADDR is no address.
    pub(crate) fn new(args: &NodeApiArgs) -> Result<Self> {
        let environment = args.env_file.environment()?;
        let addr = match (args.status_addr, environment.get("STATUS_ADDR")) {
            (Some(addr), _) => addr,
            (None, Some(("off", _))) => {
                bail!(
                    "STATUS_ADDR=off: this node can't be asked; start it with an address, or give another node's with --status-addr IP:PORT"
                )
            }
            (None, Some((text, _))) => text.parse().with_context(|| {
                format!("STATUS_ADDR={text} is not an address; give the node's with --status-addr IP:PORT")
            })?,
            (None, None) => DEFAULT_STATUS_ADDR,
        };
        let admin_token = environment.secret(ADMIN_TOKEN)?.map(|found| found.text);
        let meant = environment.get("PLUGINS_DIR").filter(|_| args.status_addr.is_none());
        let plugins_dir = meant.map(|(dir, _)| PathBuf::from(dir));
        Ok(Self { addr, admin_token, plugins_dir })
    }

    /// The node's runners.
    ///
    /// # Errors
    /// When no node answers.
    pub(crate) async fn runners(&self) -> Result<Vec<RunnerView>> {
        runners_in(self.call(Method::GET, "/api/plugins").await?)
    }

    /// How the node is.
    ///
    /// # Errors
    /// When no node answers.
    pub(crate) async fn status(&self) -> Result<Value> {
        self.call(Method::GET, "/api/status").await
    }

    /// What a route answers that is no JSON.
    ///
    /// # Errors
    /// When no node answers, or with an error.
    pub(crate) async fn text(&self, path: &str) -> Result<String> {
        let url = format!("http://{}{path}", self.addr);
        let client = client_builder().no_proxy().timeout(TIMEOUT).build()?;
        let mut request = client.get(&url);
        // On this machine nothing that is only read needs a token, and who has the port may be another than the node.
        if let Some(token) = self.admin_token.as_ref().filter(|_| !self.addr.ip().is_loopback()) {
            request = request.bearer_auth(token.expose());
        }
        let response = request.send().await.map_err(|error| anyhow!("{url}: {}", error.without_url()))?;
        if !response.status().is_success() {
            bail!("{url} answered {}", response.status());
        }
        let body = read_body(response, MAX_ANSWER_BYTES).await.with_context(|| format!("reading {url}"))?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// Has the node log other lines from now on; the filter before.
    ///
    /// # Errors
    /// When no node answers, it rejects the call, or the filter is wrong.
    pub(crate) async fn set_log_filter(&self, filter: &str) -> Result<String> {
        let mut url = Url::parse("http://node/api/admin/log")?;
        url.query_pairs_mut().append_pair("filter", filter);
        let path = format!("{}?{}", url.path(), url.query().unwrap_or_default());
        let answer = self.call(Method::POST, &path).await?;
        Ok(answer.get("before").and_then(Value::as_str).unwrap_or_default().to_owned())
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
        let answer = self.call(Method::POST, &admin_path(&["rollback", runner])?).await?;
        Ok(answer.get("live").and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    /// Has the node take no new leases; how many tasks it has.
    ///
    /// # Errors
    /// When no node answers, or it rejects the call.
    pub(crate) async fn drain(&self, then: AfterDrain) -> Result<u64> {
        let path = match then {
            AfterDrain::Stop => "/api/admin/drain?then=stop",
            AfterDrain::Stay => "/api/admin/drain?then=stay",
        };
        let answer = self.call(Method::POST, path).await?;
        Ok(answer.get("running").and_then(Value::as_u64).unwrap_or_default())
    }

    /// Has the node take no new leases for a while; how many tasks it has.
    ///
    /// # Errors
    /// When no node answers, or it rejects the call.
    pub(crate) async fn pause(&self, note: &str, secs: Option<u64>) -> Result<u64> {
        let mut url = Url::parse("http://node/api/admin/pause")?;
        url.query_pairs_mut().append_pair("note", note);
        if let Some(secs) = secs {
            url.query_pairs_mut().append_pair("secs", &secs.to_string());
        }
        let path = format!("{}?{}", url.path(), url.query().unwrap_or_default());
        let answer = self.call(Method::POST, &path).await?;
        Ok(answer.get("running").and_then(Value::as_u64).unwrap_or_default())
    }

    /// Has the node take leases again.
    ///
    /// # Errors
    /// When no node answers, or it rejects the call.
    pub(crate) async fn resume(&self) -> Result<()> {
        self.call(Method::POST, "/api/admin/resume").await.map(drop)
    }

    /// Has the node close a runner's circuit breaker; false if it was closed already.
    ///
    /// # Errors
    /// When no node answers, or it rejects the call.
    pub(crate) async fn close_breaker(&self, runner: &str) -> Result<bool> {
        let path = admin_path(&["plugins", runner, "close-breaker"])?;
        let answer = self.call(Method::POST, &path).await?;
        Ok(answer.get("closed").and_then(Value::as_bool).unwrap_or_default())
    }

    async fn call(&self, method: Method, path: &str) -> Result<Value> {
        self.check_identity().await?;
        self.ask(method, path).await
    }

    /// Another node may have the address: of another folder of runners, it is not the one that is meant.
    async fn check_identity(&self) -> Result<()> {
        let Some(meant) = &self.plugins_dir else { return Ok(()) };
        let node: NodeIdentity = serde_json::from_value(self.ask(Method::GET, "/api/node").await?)
            .with_context(|| format!("reading which node answers at {}", self.addr))?;
        let meant = meant.canonicalize().unwrap_or_else(|_| meant.clone());
        if node.plugins_dir != meant {
            bail!(
                "at {} answers another node (process {}, PLUGINS_DIR {}), not the one of PLUGINS_DIR {}; \
                 set STATUS_ADDR as for the node that you mean, or give its address with --status-addr",
                self.addr,
                node.pid,
                escaped(&node.plugins_dir),
                escaped(&meant),
            );
        }
        Ok(())
    }

    async fn ask(&self, method: Method, path: &str) -> Result<Value> {
        let url = format!("http://{}{path}", self.addr);
        let client = client_builder().no_proxy().timeout(TIMEOUT).build()?;
        let needs_token = method == Method::POST;
        let mut request = client.request(method, &url);
        if let Some(token) = self.admin_token.as_ref().filter(|_| needs_token) {
            request = request.bearer_auth(token.expose());
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
        let reason = one_line(reason, REASON_BYTES);
        match status {
            StatusCode::OK | StatusCode::ACCEPTED => Ok(answer),
            StatusCode::UNAUTHORIZED => {
                bail!("{url}: the node rejects the ADMIN_TOKEN of this environment: {reason}")
            }
            _ => bail!("{url} answered {status}: {reason}"),
        }
    }
}

/// The path of an admin call, in which a name may contain what a path may not.
fn admin_path(segments: &[&str]) -> Result<String> {
    // Only the path is used: the URL escapes each segment.
    let mut url = Url::parse("http://node/api/admin")?;
    url.path_segments_mut().map_err(|()| anyhow!("a URL without a path"))?.extend(segments);
    Ok(url.path().to_owned())
}

fn runners_in(answer: Value) -> Result<Vec<RunnerView>> {
    let answer: RunnersAnswer = serde_json::from_value(answer).context("reading the node's answer")?;
    Ok(answer.plugins)
}

fn escaped(path: &Path) -> String {
    one_line(path.display(), 400)
}
