//! The API of a running node, for the commands that ask it.

mod way;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::Args;
use posemesh_net::http::{cause, read_body};
use posemesh_node_core::config::{ADMIN_TOKEN, DEFAULT_STATUS_ADDR, Environment, STATUS_TOKEN};
use posemesh_node_core::node::NodeIdentity;
use posemesh_node_core::shutdown::AfterDrain;
use posemesh_plugin_host::registry::RunnerView;
use posemesh_text::one_line;
use reqwest::{Method, RequestBuilder, StatusCode, Url};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::OnceCell;

use crate::settings::SettingsArgs;
use way::{Way, Wish};

/// Bytes of the longest answer that is read.
const MAX_ANSWER_BYTES: usize = 16 << 20;
/// How much of the node's reason for an error is shown: it may quote a runner.
const REASON_BYTES: usize = 4096;

/// How much of a runner's name is shown.
const NAME_BYTES: usize = 200;

/// Which running node is asked.
#[derive(Debug, Args)]
pub(crate) struct NodeApiArgs {
    /// Address of the node's status server. Default: the node's control socket, or else STATUS_ADDR, or 127.0.0.1:8090.
    #[arg(long, value_name = "IP:PORT")]
    status_addr: Option<SocketAddr>,
    /// The node's control socket. Default: CONTROL_SOCKET, or that of the running node below WORK_DIR.
    #[arg(long, value_name = "PATH", conflicts_with = "status_addr")]
    socket: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingsArgs,
}

impl NodeApiArgs {
    /// The environment that the node is looked up in.
    ///
    /// # Errors
    /// When a file of settings can't be read.
    pub(crate) fn environment(&self) -> Result<Environment> {
        self.settings.environment()
    }
}

/// A client of one node's API.
pub(crate) struct NodeApi {
    wish: Wish,
    way: OnceCell<Way>,
    environment: Environment,
    /// `PLUGINS_DIR` of the node that is meant; none if the node was named in so many words, or nothing is known.
    plugins_dir: Option<PathBuf>,
}

#[derive(Deserialize)]
struct RunnersAnswer {
    plugins: Vec<RunnerView>,
}

/// What a node says when it takes leases no more, or again.
#[derive(Deserialize)]
pub(crate) struct LeaseTaking {
    /// How many tasks it has.
    #[serde(default)]
    pub(crate) running: u64,
    /// Whether its next process will know.
    #[serde(default = "yes")]
    pub(crate) noted: bool,
}

/// An older node says nothing of it.
fn yes() -> bool {
    true
}

impl NodeApi {
    /// A client for the node that the arguments name.
    ///
    /// # Errors
    /// When a file of settings can't be read, or STATUS_ADDR is no address.
    pub(crate) fn new(args: &NodeApiArgs) -> Result<Self> {
        let environment = match args.settings.environment() {
            // Whoever has the socket needs no setting.
            Err(_) if args.socket.is_some() => Environment::default(),
            read => read?,
        };
        let is_named = args.status_addr.is_some() || args.socket.is_some();
        let meant = environment.get("PLUGINS_DIR").filter(|_| !is_named);
        let plugins_dir = meant.map(|(dir, _)| PathBuf::from(dir));
        let plugins_dir = plugins_dir.map(|dir| dir.canonicalize().unwrap_or(dir));
        let wish = match (args.status_addr, &args.socket) {
            (Some(addr), _) => Wish::Address(addr),
            (None, Some(path)) => Wish::Socket(path.clone()),
            (None, None) => Wish::Settings {
                socket: environment.control_socket(),
                work_dir: environment.work_dir(),
                addr: status_addr(&environment)?,
                addr_is_set: environment.get("STATUS_ADDR").is_some(),
                plugins_dir: plugins_dir.clone(),
            },
        };
        Ok(Self { wish, way: OnceCell::new(), environment, plugins_dir })
    }

    async fn way(&self) -> Result<&Way> {
        self.way.get_or_try_init(|| Way::find(&self.wish)).await
    }

    /// Adds the token that a call needs, if it needs one.
    fn with_token(&self, request: RequestBuilder, way: &Way, is_command: bool) -> Result<RequestBuilder> {
        // On this machine nothing that is only read needs a token, and who has the port may be another than the node.
        if way.is_socket || (way.is_here && !is_command) {
            return Ok(request);
        }
        let mut found = self.environment.secret(ADMIN_TOKEN)?;
        if !is_command {
            found = self.environment.secret(STATUS_TOKEN)?.or(found);
        }
        Ok(match found {
            Some(found) => request.bearer_auth(found.text.expose()),
            None => request,
        })
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
        let way = self.way().await?;
        let at = format!("{}{path}", way.shown);
        let request = self.with_token(way.client.get(format!("{}{path}", way.base)), way, false)?;
        let response = request.send().await.map_err(|error| anyhow!("{at}: {}", error.without_url()))?;
        if !response.status().is_success() {
            bail!("{at} answered {}", response.status());
        }
        let body = read_body(response, MAX_ANSWER_BYTES).await.with_context(|| format!("reading {at}"))?;
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

    /// Has the node read its settings again; what has changed, and what of it needs a restart.
    ///
    /// # Errors
    /// When no node answers, it rejects the call, or the settings are wrong.
    pub(crate) async fn reload(&self) -> Result<Value> {
        self.call(Method::POST, "/api/admin/reload").await
    }

    /// Has the node scan its folder of runners; the runners afterwards, and which of them are still being loaded.
    ///
    /// # Errors
    /// When no node answers, or it rejects the call.
    pub(crate) async fn rescan(&self) -> Result<(Vec<RunnerView>, Vec<String>)> {
        let answer = self.call(Method::POST, "/api/admin/rescan").await?;
        let left = still_loading(&answer);
        Ok((runners_in(answer)?, left))
    }

    /// Has the node return to a runner's previous generation; the label of the one that is live now.
    ///
    /// # Errors
    /// When no node answers, or it rejects the call.
    pub(crate) async fn roll_back(&self, runner: &str) -> Result<String> {
        let answer = self.call(Method::POST, &admin_path(&["rollback", runner])?).await?;
        Ok(answer.get("live").and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    /// Has the node take no new leases.
    ///
    /// # Errors
    /// When no node answers, or it rejects the call.
    pub(crate) async fn drain(&self, then: AfterDrain) -> Result<LeaseTaking> {
        let path = match then {
            AfterDrain::Stop => "/api/admin/drain?then=stop",
            AfterDrain::Stay => "/api/admin/drain?then=stay",
        };
        lease_taking_in(self.call(Method::POST, path).await?)
    }

    /// Has the node take no new leases for a while.
    ///
    /// # Errors
    /// When no node answers, or it rejects the call.
    pub(crate) async fn pause(&self, note: &str, secs: Option<u64>) -> Result<LeaseTaking> {
        let mut url = Url::parse("http://node/api/admin/pause")?;
        url.query_pairs_mut().append_pair("note", note);
        if let Some(secs) = secs {
            url.query_pairs_mut().append_pair("secs", &secs.to_string());
        }
        let path = format!("{}?{}", url.path(), url.query().unwrap_or_default());
        lease_taking_in(self.call(Method::POST, &path).await?)
    }

    /// Has the node take leases again.
    ///
    /// # Errors
    /// When no node answers, or it rejects the call.
    pub(crate) async fn resume(&self) -> Result<LeaseTaking> {
        lease_taking_in(self.call(Method::POST, "/api/admin/resume").await?)
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
        let way = self.way().await?;
        // Whoever has the socket was asked when it was chosen, or named in so many words.
        let Some(meant) = self.plugins_dir.as_ref().filter(|_| !way.is_socket) else { return Ok(()) };
        let node: NodeIdentity = serde_json::from_value(self.ask(Method::GET, "/api/node").await?)
            .with_context(|| format!("reading which node answers at {}", way.shown))?;
        if node.plugins_dir != *meant {
            bail!(
                "at {} answers another node (process {}, PLUGINS_DIR {}), not the one of PLUGINS_DIR {}; \
                 set STATUS_ADDR as for the node that you mean, or give its address with --status-addr",
                way.shown.trim_start_matches("http://"),
                node.pid,
                escaped(&node.plugins_dir),
                escaped(meant),
            );
        }
        Ok(())
    }

    async fn ask(&self, method: Method, path: &str) -> Result<Value> {
        let way = self.way().await?;
        // Without what was asked, which may be long.
        let at = format!("{}{}", way.shown, path.split('?').next().unwrap_or_default());
        let is_command = method == Method::POST;
        let request = way.client.request(method, format!("{}{path}", way.base));
        let request = self.with_token(request, way, is_command)?;
        let response = request.send().await.map_err(|error| {
            let error = cause(&error.without_url());
            match way.is_socket {
                true => anyhow!(
                    "no node answers at {}: {error}. Is it running, and is this its user or root?",
                    way.shown
                ),
                false => anyhow!(
                    "no node answers at {at}: {error}. Is it running with this STATUS_ADDR? \
                     --status-addr gives another address"
                ),
            }
        })?;
        let status = response.status();
        let body = read_body(response, MAX_ANSWER_BYTES).await.with_context(|| format!("reading {at}"))?;
        let answer: Value = serde_json::from_slice(&body).with_context(|| {
            format!("{at} answered {status} with a body that is not JSON; is it a posemesh-node?")
        })?;
        let reason = answer.get("error").and_then(Value::as_str).unwrap_or_default();
        let reason = one_line(reason, REASON_BYTES);
        match status {
            StatusCode::OK | StatusCode::ACCEPTED => Ok(answer),
            StatusCode::UNAUTHORIZED if is_command => {
                bail!("{at}: the node rejects the ADMIN_TOKEN of this environment: {reason}")
            }
            _ => bail!("{at} answered {status}: {reason}"),
        }
    }
}

/// Where the status server of a node with this environment is; none if it is off.
fn status_addr(environment: &Environment) -> Result<Option<SocketAddr>> {
    match environment.get("STATUS_ADDR") {
        None => Ok(Some(DEFAULT_STATUS_ADDR)),
        Some(("off", _)) => Ok(None),
        Some((text, _)) => {
            let addr = text.parse().with_context(|| {
                format!("STATUS_ADDR={text} is not an address; give the node's with --status-addr IP:PORT")
            })?;
            Ok(Some(addr))
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

fn lease_taking_in(answer: Value) -> Result<LeaseTaking> {
    serde_json::from_value(answer).context("reading the node's answer")
}

/// The runners of an answer that are still being loaded.
pub(crate) fn still_loading(answer: &Value) -> Vec<String> {
    let names = answer.get("still_loading").and_then(Value::as_array).into_iter().flatten();
    names.filter_map(|name| Some(one_line(name.as_str()?, NAME_BYTES))).collect()
}

fn runners_in(answer: Value) -> Result<Vec<RunnerView>> {
    let answer: RunnersAnswer = serde_json::from_value(answer).context("reading the node's answer")?;
    Ok(answer.plugins)
}

fn escaped(path: &Path) -> String {
    one_line(path.display(), 400)
}
