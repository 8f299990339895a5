//! A running devnet: start, end, and where it is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use url::Url;
use uuid::Uuid;

use crate::config::DevnetConfig;
use crate::dds::{AppCredentials, Dds, Identity, NodeCredentials, RobotCredentials};
use crate::dms::lease;
use crate::domain::store::Store;
use crate::error::DevnetError;
use crate::faults::Faults;
use crate::identities::Identities;
use crate::server;
use crate::state::Core;
use crate::tokens::Grant;

/// Applications log in for good.
const APP_TOKEN_TTL: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// DDS, DMS and a domain server that run until this is shut down or dropped.
#[derive(Debug)]
pub struct Devnet {
    pub(crate) core: Arc<Core>,
    addr: SocketAddr,
    domain_id: Uuid,
    node: NodeCredentials,
    robot: RobotCredentials,
    app_token: String,
    /// The server and the sweeper.
    tasks: Vec<JoinHandle<()>>,
    /// The data directory, if it is ours to remove.
    temporary: Option<TempDir>,
}

impl Devnet {
    /// Binds the address and serves. There is a domain, a node and a robot from the start.
    ///
    /// # Errors
    /// When the address can't be bound, or the data directory can't be used.
    pub async fn start(config: DevnetConfig) -> Result<Self, DevnetError> {
        let (root, temporary) = match &config.data_dir {
            Some(root) => (root.clone(), None),
            None => {
                let made = tempfile::Builder::new().prefix("posemesh-devnet-").tempdir();
                let made = made.map_err(DevnetError::file("create a directory in", std::env::temp_dir()))?;
                (made.path().to_owned(), Some(made))
            }
        };
        let store = Store::open(&root).await?;
        let Identities { domain_id, node, robot } = Identities::open(&root).await?;
        store.add_domain(domain_id);
        store.save().await.map_err(DevnetError::file("write the index in", &root))?;

        let bind = |source| DevnetError::Bind { addr: config.addr, source };
        let listener = TcpListener::bind(config.addr).await.map_err(bind)?;
        let addr = listener.local_addr().map_err(bind)?;
        let base_url = match &config.public_url {
            Some(url) => url.clone(),
            None => Url::parse(&format!("http://{addr}"))
                .map_err(|error| DevnetError::State { path: root, reason: error.to_string() })?,
        };
        let core = Core::new(config, base_url, Dds::new(), store, CancellationToken::new());
        let core = Arc::new(core);
        let node = core.dds.add_node(node, false);
        let robot = core.dds.add_robot(robot, domain_id);
        let claims = json!({"iss": "dds", "sub": "app", "permissions": ["domain:rw", "domain-data:rw"]});
        let app_token = core.tokens.issue(&core.clock, Grant::App, APP_TOKEN_TTL, claims).token;
        let tasks =
            vec![tokio::spawn(run_server(core.clone(), listener)), tokio::spawn(run_sweeper(core.clone()))];
        Ok(Self { core, addr, domain_id, node, robot, app_token, tasks, temporary })
    }

    /// Ends all connections and tasks, and removes the data directory if it was temporary.
    pub async fn shutdown(mut self) {
        self.core.stop.cancel();
        for task in std::mem::take(&mut self.tasks) {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the devnet ended badly");
            }
        }
        if let Some(directory) = self.temporary.take() {
            // It is going either way, and there is nobody left to tell.
            let _ = tokio::task::spawn_blocking(move || directory.close()).await;
        }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What `DDS_BASE_URL` should be: no slash at the end.
    pub fn dds_url(&self) -> String {
        self.core.base().to_owned()
    }

    /// What `DMS_BASE_URL` should be: with `/v1`, no slash at the end.
    pub fn dms_url(&self) -> String {
        format!("{}/v1", self.core.base())
    }

    /// What lease envelopes name as the domain server: no slash at the end.
    pub fn domain_server_url(&self) -> String {
        self.core.base().to_owned()
    }

    /// The domain that was there from the start.
    pub fn domain_id(&self) -> Uuid {
        self.domain_id
    }

    /// Adds a domain.
    pub fn add_domain(&self) -> Uuid {
        let id = Uuid::new_v4();
        self.core.store.add_domain(id);
        id
    }

    /// The credentials of the node that was there from the start.
    pub fn node(&self) -> &NodeCredentials {
        &self.node
    }

    /// What `REG_SECRET` should be: standard Base64 of `<node id>:<secret>`.
    pub fn registration_secret(&self) -> &str {
        &self.node.registration_secret
    }

    /// Adds a node. A dedicated one gets dedicated tasks too, and before others.
    pub fn add_node(&self, dedicated: bool) -> NodeCredentials {
        self.core.dds.add_node(Identity::new(), dedicated)
    }

    /// The robot that was there from the start. It is assigned to [`Self::domain_id`] and, as all robots,
    /// gets only tasks with `"mode": "dedicated"`.
    pub fn robot(&self) -> &RobotCredentials {
        &self.robot
    }

    /// Adds a robot that is assigned to a domain.
    pub fn add_robot(&self, domain: Uuid) -> RobotCredentials {
        self.core.dds.add_robot(Identity::new(), domain)
    }

    /// What an application logs in with, to be told where a domain is and to get a token for it. New at
    /// every start.
    pub fn app(&self) -> &AppCredentials {
        &self.core.dds.app
    }

    /// The bearer token of an application: for the job API, and for the data of every domain.
    pub fn app_token(&self) -> &str {
        &self.app_token
    }

    /// The failures that are on order.
    pub fn faults(&self) -> &Faults {
        &self.core.faults
    }

    /// Sets how far the servers' clock is ahead, in milliseconds. Leases and tokens live as long as before;
    /// only dates change.
    pub fn set_clock_offset_ms(&self, offset_ms: i64) {
        self.core.clock.set_offset_ms(offset_ms);
    }
}

impl Drop for Devnet {
    fn drop(&mut self) {
        self.core.stop.cancel();
    }
}

async fn run_server(core: Arc<Core>, listener: TcpListener) {
    if let Err(error) = server::serve(core.clone(), listener).await {
        tracing::error!(%error, "the devnet can serve no more");
    }
    if let Err(error) = core.store.save().await {
        tracing::error!(%error, "the devnet could not save its index");
    }
}

async fn run_sweeper(core: Arc<Core>) {
    let mut tick = tokio::time::interval(core.config.sweep_interval.max(Duration::from_millis(1)));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = tick.tick() => sweep(&core),
            () = core.stop.cancelled() => return,
        }
    }
}

/// Ends what has outlived its time.
pub(crate) fn sweep(core: &Core) {
    core.dds.sweep();
    core.tokens.sweep();
    let leases = lease::sweep(core);
    let sessions = core.sessions.sweep();
    if leases || sessions {
        core.changed();
    }
}
