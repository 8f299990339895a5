//! A node as a process of its own: with a chosen environment, its log collected, killed with the test.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use posemesh_devnet::Devnet;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Notify;

use crate::built::{node_binary, root};

/// A private key for tests: 32 bytes of 0x01 (protocol 1.3, key B).
const KEY: &str = "0101010101010101010101010101010101010101010101010101010101010101";

/// How long a process may take to print a text or to exit, on a loaded machine.
const EVENT_TIMEOUT: Duration = Duration::from_secs(300);

/// The environment of a node that works for this devnet.
pub fn variables(devnet: &Devnet, plugins_dir: &Path, work_dir: &Path) -> BTreeMap<String, String> {
    let pairs = [
        ("DDS_BASE_URL", devnet.dds_url()),
        ("DMS_BASE_URL", devnet.dms_url()),
        ("REG_SECRET", devnet.registration_secret().to_owned()),
        ("SECP256K1_PRIVHEX", KEY.to_owned()),
        ("PLUGINS_DIR", plugins_dir.display().to_string()),
        ("WORK_DIR", work_dir.join("work").display().to_string()),
        ("CACHE_DIR", work_dir.join("cache").display().to_string()),
        ("POLL_BACKOFF_MS_MIN", "20".to_owned()),
        ("POLL_BACKOFF_MS_MAX", "100".to_owned()),
        ("HEARTBEAT_JITTER_MS", "50".to_owned()),
        ("STATUS_ADDR", "off".to_owned()),
        ("LOG_FORMAT", "text".to_owned()),
        ("RUST_LOG", "info".to_owned()),
    ];
    pairs.map(|(name, value)| (name.to_owned(), value)).into()
}

/// A running node. Dropping it kills the process.
pub struct NodeProcess {
    child: Child,
    log: Arc<Log>,
}

#[derive(Default)]
struct Log {
    text: Mutex<String>,
    grown: Notify,
}

impl NodeProcess {
    /// Starts a program with these arguments, and with these variables as its whole environment.
    pub fn start(program: &Path, args: &[&str], variables: &BTreeMap<String, String>) -> Self {
        let mut node = Self::with_log_to(Stdio::piped(), program, args, variables);
        node.read_log();
        node
    }

    /// As [`NodeProcess::start`], with the log going elsewhere. A pipe is left unread.
    pub fn with_log_to(
        stderr: Stdio,
        program: &Path,
        args: &[&str],
        variables: &BTreeMap<String, String>,
    ) -> Self {
        let mut command = Command::new(program);
        command.args(args).env_clear().envs(variables).env("RUST_BACKTRACE", "1").current_dir(root());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr).kill_on_drop(true);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("starting {program:?}: {error}"));
        let log = Arc::new(Log::default());
        collect(child.stdout.take().expect("a pipe"), log.clone());
        Self { child, log }
    }

    /// Reads the pipe of the log from now on.
    pub fn read_log(&mut self) {
        collect(self.child.stderr.take().expect("a pipe"), self.log.clone());
    }

    /// Closes the reading end of the pipe of the log.
    pub fn close_log(&mut self) {
        drop(self.child.stderr.take().expect("a pipe"));
    }

    /// Starts the node under test.
    pub fn run(variables: &BTreeMap<String, String>) -> Self {
        Self::start(&node_binary(), &["run"], variables)
    }

    /// Everything that the process has printed so far.
    pub fn log(&self) -> String {
        self.log.text.lock().expect("nobody panics with the log").clone()
    }

    /// Waits for the address of its status server, which chooses a port if `STATUS_ADDR` has port 0.
    pub async fn status_addr(&self) -> String {
        self.logged_addr("the status server listens").await
    }

    /// Waits until the process has logged this message; returns the field `addr` of the line.
    pub async fn logged_addr(&self, message: &str) -> String {
        self.wait_for_log(message).await;
        let log = self.log();
        let line = log.lines().find(|line| line.contains(message)).expect("the line");
        let rest = line.split("addr=").nth(1).expect("an address");
        rest.split_whitespace().next().expect("an address").to_owned()
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// Waits until the process has printed a text.
    pub async fn wait_for_log(&self, text: &str) {
        let found = async {
            loop {
                let grown = self.log.grown.notified();
                if self.log().contains(text) {
                    return;
                }
                grown.await;
            }
        };
        if tokio::time::timeout(EVENT_TIMEOUT, found).await.is_err() {
            panic!("the node never printed {text:?}; it printed:\n{}", self.log());
        }
    }

    /// Waits until a runner is live. A node takes leases as soon as one is, while others may still be compiled.
    pub async fn wait_for_live(&self, runner: &str) {
        self.wait_for_log(&format!("runner live runner={runner:?}")).await;
    }

    /// Waits until the process exits by itself; returns the exit code, -1 after a signal.
    pub async fn wait(&mut self) -> i32 {
        let status = tokio::time::timeout(EVENT_TIMEOUT, self.child.wait()).await;
        let status =
            status.unwrap_or_else(|_| panic!("the node is still running; it printed:\n{}", self.log()));
        status.expect("a status").code().unwrap_or(-1)
    }

    /// Sends SIGTERM and waits for the exit code.
    pub async fn terminate(&mut self) -> i32 {
        self.signal("TERM").await;
        self.wait().await
    }

    /// Sends a signal, by its name without `SIG`.
    pub async fn signal(&self, name: &str) {
        let pid = self.child.id().expect("it runs").to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &pid]).status().await.expect("kill");
        assert!(sent.success(), "sending SIG{name} to {pid}");
    }

    /// Sends SIGKILL: the process has no chance to clean up, as in a power failure.
    pub async fn kill(&mut self) {
        self.child.kill().await.expect("it runs");
    }
}

fn collect(pipe: impl AsyncRead + Unpin + Send + 'static, log: Arc<Log>) {
    tokio::spawn(async move {
        let mut lines = BufReader::new(pipe).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let mut text = log.text.lock().expect("nobody panics with the log");
            text.push_str(&line);
            text.push('\n');
            drop(text);
            log.grown.notify_waiters();
        }
    });
}
