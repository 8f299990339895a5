//! A running devnet: its start and shutdown, its addresses and its credentials.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::Url;
use uuid::Uuid;

use crate::config::DevnetConfig;
use crate::error::DevnetError;
use crate::faults::rules::Faults;
use crate::identities::DefaultIdentities;
use crate::serve::serve;
use crate::servers::Servers;
use crate::state::credentials::{AppCredentials, MachineIdentity, NodeCredentials, RobotCredentials};
use crate::state::store::DataStore;
use crate::sweep;
use crate::tokens::TokenGrant;

/// Lifetime of [`Devnet::app_token`]: longer than any devnet runs, so that a copied command line keeps
/// working.
const APP_TOKEN_TTL: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// DDS, DMS and a domain server that run until this is shut down or dropped.
///
/// ```
/// use posemesh_devnet::{Devnet, DevnetConfig, DevnetError, TaskStatus};
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), DevnetError> {
/// let devnet = Devnet::start(DevnetConfig::default()).await?;
/// let scan = devnet.put_data("scan", "ply", "ply ...").await?;
/// let job = devnet.submit_job(json!({
///     "label": "thin",
///     "tasks": [{"capability": "/posemesh/pointcloud/v1", "inputs_cids": [devnet.data_url(scan)]}],
/// }))?;
/// for task in job.tasks {
///     // A node that has this capability would now lease the task.
///     assert!(devnet.task(task).is_some_and(|task| task.status == TaskStatus::Queued));
/// }
/// devnet.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Devnet {
    pub(crate) servers: Arc<Servers>,
    addr: SocketAddr,
    domain_id: Uuid,
    node: NodeCredentials,
    robot: RobotCredentials,
    app_token: String,
    /// The HTTP server and the sweeper.
    tasks: Vec<JoinHandle<()>>,
    /// The data directory, if it is to be removed at shutdown.
    temporary: Option<TempDir>,
}

impl Devnet {
    /// Binds the address and begins to serve. A domain, a node and a robot exist from the start.
    ///
    /// # Errors
    /// [`DevnetError::Bind`] if the address can't be used; [`DevnetError::File`] or [`DevnetError::State`] if
    /// the data directory can't.
    pub async fn start(config: DevnetConfig) -> Result<Self, DevnetError> {
        let (root, temporary) = match &config.data_dir {
            Some(root) => (root.clone(), None),
            None => {
                let made = tempfile::Builder::new().prefix("posemesh-devnet-").tempdir();
                let made = made.map_err(DevnetError::file("create a directory in", std::env::temp_dir()))?;
                (made.path().to_owned(), Some(made))
            }
        };
        let store = DataStore::open(&root).await?;
        let DefaultIdentities { domain_id, node, robot } = DefaultIdentities::open(&root).await?;
        store.add_domain(domain_id);
        store.save().await.map_err(DevnetError::file("write the index in", &root))?;

        let bind = |source| DevnetError::Bind { addr: config.addr, source };
        let listener = TcpListener::bind(config.addr).await.map_err(bind)?;
        let addr = listener.local_addr().map_err(bind)?;
        let base_url =
            Url::parse(&format!("http://{addr}")).map_err(|error| bind(std::io::Error::other(error)))?;

        let servers = Arc::new(Servers::new(config, base_url, store));
        let node = servers.registry.add_node(node);
        let robot = servers.registry.add_robot(robot, domain_id);
        let claims = json!({"iss": "dds", "sub": "app", "permissions": ["domain:rw", "domain-data:rw"]});
        let app_token = servers.tokens.issue(&servers.clock, TokenGrant::App, APP_TOKEN_TTL, claims).token;
        // Only now, when everything that requests may ask for exists.
        let tasks = vec![
            tokio::spawn(run_server(servers.clone(), listener)),
            tokio::spawn(sweep::run(servers.clone())),
        ];
        Ok(Self { servers, addr, domain_id, node, robot, app_token, tasks, temporary })
    }

    /// Ends all connections and background tasks, and removes the data directory if it is temporary.
    pub async fn shutdown(mut self) {
        self.servers.stop.cancel();
        for task in std::mem::take(&mut self.tasks) {
            if let Err(error) = task.await {
                tracing::error!(%error, "a background task of the devnet failed");
            }
        }
        if let Some(directory) = self.temporary.take() {
            // What can't be removed is left to the operating system, which cleans its temporary directory.
            let _ = tokio::task::spawn_blocking(move || directory.close()).await;
        }
    }

    /// The address that the devnet listens on, with the port that was chosen.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Value for `DDS_BASE_URL`, without a trailing slash.
    pub fn dds_url(&self) -> String {
        self.servers.base().to_owned()
    }

    /// Value for `DMS_BASE_URL`, with `/v1` and without a trailing slash.
    pub fn dms_url(&self) -> String {
        format!("{}/v1", self.servers.base())
    }

    /// The domain server's URL in lease envelopes, without a trailing slash.
    pub fn domain_server_url(&self) -> String {
        self.servers.base().to_owned()
    }

    /// Id of the domain that exists from the start. It is the same after a restart on the same data
    /// directory.
    pub fn domain_id(&self) -> Uuid {
        self.domain_id
    }

    /// Adds a domain; returns its id.
    pub fn add_domain(&self) -> Uuid {
        let id = Uuid::new_v4();
        self.servers.store.add_domain(id);
        id
    }

    /// Credentials of the node that exists from the start. They are the same after a restart on the same data
    /// directory.
    pub fn node(&self) -> &NodeCredentials {
        &self.node
    }

    /// Adds a node; returns its credentials. A devnet that is restarted does not know it any more.
    pub fn add_node(&self) -> NodeCredentials {
        self.servers.registry.add_node(MachineIdentity::new())
    }

    /// Value for `REG_SECRET`: the credentials of [`Self::node`] in standard Base64.
    pub fn registration_secret(&self) -> &str {
        &self.node.registration_secret
    }

    /// Credentials of the robot that exists from the start. It is assigned to [`Self::domain_id`] and, like
    /// every robot, gets only tasks with `"mode": "dedicated"`.
    pub fn robot(&self) -> &RobotCredentials {
        &self.robot
    }

    /// Credentials with which an application logs in, to look up a domain and to obtain a token for it. They
    /// differ from start to start.
    pub fn app(&self) -> &AppCredentials {
        &self.servers.registry.app
    }

    /// A bearer token of an application, for the job API and the data of every domain.
    pub fn app_token(&self) -> &str {
        &self.app_token
    }

    /// The failures to inject.
    pub fn faults(&self) -> &Faults {
        &self.servers.faults
    }
}

impl Drop for Devnet {
    fn drop(&mut self) {
        self.servers.stop.cancel();
    }
}

async fn run_server(servers: Arc<Servers>, listener: TcpListener) {
    if let Err(error) = serve(servers.clone(), listener).await {
        tracing::error!(%error, "the devnet's HTTP server failed");
    }
    // Requests that were cut may have changed the data without having saved the index.
    if let Err(error) = servers.store.save().await {
        tracing::error!(%error, "the devnet could not save its index");
    }
}
