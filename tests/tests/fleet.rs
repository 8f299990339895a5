//! Several nodes for one local network, each with its own identity, as an operator starts them; and what a service manager hears
//! of one.

use std::collections::BTreeMap;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Output};
use std::time::Duration;

use posemesh_tests::{NodeProcess, Scene, TIMEOUT, http_client, node_binary, plugin, plugins_with};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

/// The variables that a text tells to export, in blocks that begin with `REG_SECRET`.
fn exported(text: &str) -> Vec<BTreeMap<String, String>> {
    let mut blocks: Vec<BTreeMap<String, String>> = vec![BTreeMap::new()];
    for word in
        text.lines().filter_map(|line| line.trim().strip_prefix("export ")).flat_map(|line| line.split(' '))
    {
        let (name, value) = word.split_once('=').expect("NAME=value");
        if name == "REG_SECRET" && blocks.last().is_some_and(|block| block.contains_key(name)) {
            blocks.push(BTreeMap::new());
        }
        blocks.last_mut().expect("a block").insert(name.to_owned(), value.to_owned());
    }
    blocks
}

async fn load(variables: &BTreeMap<String, String>, arguments: &[&str]) -> Output {
    let mut command = Command::new(node_binary());
    command.args(["devnet", "load"]).args(arguments).env_clear().envs(variables);
    tokio::task::spawn_blocking(move || command.output()).await.expect("it ran").expect("an output")
}

/// The value of a counter of a node.
async fn counter(addr: &str, series: &str) -> u64 {
    let answer = http_client().get(format!("http://{addr}/metrics")).send().await.expect("an answer");
    let text = answer.text().await.expect("a body");
    let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("{series} is not in {text}")).parse().expect("a number")
}

#[tokio::test]
async fn three_identities_of_one_devnet_share_the_load_on_a_bad_day() {
    let work = tempfile::tempdir().expect("a folder");
    let plugins = plugins_with(&[plugin("noop")]);
    let nothing = BTreeMap::new();
    let arguments = ["devnet", "--addr", "127.0.0.1:0", "--nodes", "3", "--leases-per-node", "1"];
    let bad_day = ["--latency", "5", "--loss", "2", "--outage", "3:1"];
    let mut devnet = NodeProcess::start(&node_binary(), &[&arguments[..], &bad_day[..]].concat(), &nothing);
    devnet.wait_for_log("Node 3:").await;
    devnet.wait_for_log("STATUS_ADDR=127.0.0.1:8092").await;
    let identities = exported(&devnet.log());
    assert_eq!(identities.len(), 3, "{}", devnet.log());
    let (shared, secrets) = (&identities[0], ["REG_SECRET", "SECP256K1_PRIVHEX"]);
    let mut nodes = Vec::new();
    for (number, identity) in identities.iter().enumerate() {
        let mut variables: BTreeMap<String, String> = BTreeMap::new();
        for name in ["DDS_BASE_URL", "DMS_BASE_URL"] {
            variables.insert(name.to_owned(), shared[name].clone());
        }
        for name in secrets {
            variables.insert(name.to_owned(), identity[name].clone());
        }
        let folder = |name: &str| work.path().join(format!("{name}-{number}")).display().to_string();
        let more = [
            ("PLUGINS_DIR", plugins.path().display().to_string()),
            ("WORK_DIR", folder("work")),
            ("CACHE_DIR", folder("cache")),
            ("STATUS_ADDR", "127.0.0.1:0".to_owned()),
            ("LOG_FORMAT", "text".to_owned()),
            ("POLL_BACKOFF_MS_MIN", "20".to_owned()),
            ("POLL_BACKOFF_MS_MAX", "200".to_owned()),
            ("REGISTER_INTERVAL_SECS", "1".to_owned()),
            ("ENABLE_NOOP", "true".to_owned()),
            ("START_SPLAY_SECS", "1".to_owned()),
        ];
        variables.extend(more.map(|(name, value)| (name.to_owned(), value)));
        let node = NodeProcess::run(&variables);
        let addr = node.status_addr().await;
        nodes.push((node, addr));
    }
    let deadline = Instant::now() + 5 * TIMEOUT;
    // Each asks for work before there is some: else the first that is ready could do it all.
    for (node, addr) in &nodes {
        while counter(addr, "posemesh_node_polls_total{result=\"no_work\"}").await == 0 {
            assert!(Instant::now() < deadline, "{}", node.log());
            sleep(Duration::from_millis(200)).await;
        }
    }
    let dms = shared["DMS_BASE_URL"].clone();
    let meta = "{\"sleep_ms\": 300}";
    let submitted = load(shared, &["--dms", &dms, "--rate", "20", "--seconds", "4", "--meta", meta]).await;
    let text = String::from_utf8_lossy(&submitted.stdout).into_owned();
    assert!(submitted.status.success(), "{text}{}", String::from_utf8_lossy(&submitted.stderr));
    let last = text.lines().last().expect("a line");
    let taken: u64 = last.split(' ').next().expect("a number").parse().expect("a number");
    assert!(taken > 0, "{text}");
    // A job that was taken although its answer was lost is done as well: at least so many.
    loop {
        let mut done = Vec::new();
        for (_, addr) in &nodes {
            done.push(counter(addr, "posemesh_node_tasks_ended_total{ending=\"completed\"}").await);
        }
        if done.iter().sum::<u64>() >= taken {
            // A node has one lease at a time: the others had work for as long as it was busy.
            assert!(done.iter().filter(|one| **one > 0).count() >= 2, "{done:?} of {taken}");
            break;
        }
        let log = nodes.iter().map(|(node, _)| node.log()).collect::<String>();
        assert!(Instant::now() < deadline, "{done:?} of {taken}: {log}");
        sleep(Duration::from_millis(200)).await;
    }
    for (node, _) in &mut nodes {
        assert!(node.log().contains("waiting before the registration"), "{}", node.log());
        assert_eq!(node.terminate().await, 0, "{}", node.log());
    }
    assert!(devnet.log().contains("the outage is over"), "{}", devnet.log());
    assert_eq!(devnet.terminate().await, 0, "{}", devnet.log());
}

#[tokio::test]
async fn a_load_keeps_its_rate_on_a_network_that_answers_late() {
    let arguments = ["devnet", "--addr", "127.0.0.1:0", "--latency", "500"];
    let mut devnet = NodeProcess::start(&node_binary(), &arguments, &BTreeMap::new());
    devnet.wait_for_log("export TOKEN").await;
    let shared = exported(&devnet.log()).remove(0);
    let dms = shared["DMS_BASE_URL"].clone();
    let submitted = load(&shared, &["--dms", &dms, "--rate", "20", "--seconds", "3"]).await;
    let text = String::from_utf8_lossy(&submitted.stdout).into_owned();
    assert!(submitted.status.success(), "{text}{}", String::from_utf8_lossy(&submitted.stderr));
    let last = text.lines().last().expect("a line");
    let taken: u64 = last.split(' ').next().expect("a number").parse().expect("a number");
    // One after the other would be six.
    assert!(taken >= 20, "{text}");
    assert!(last.contains(" were not; ") && last.ends_with(" a second of 20"), "{text}");
    assert_eq!(devnet.terminate().await, 0, "{}", devnet.log());
}

#[tokio::test]
async fn a_load_that_is_stopped_waits_for_no_answer() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let dms = format!("http://{}/v1", silent.local_addr().expect("an address"));
    let variables = [("TOKEN", "secret-of-a-load"), ("DOMAIN_ID", "7")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut load = NodeProcess::start(&node_binary(), &["devnet", "load", "--dms", &dms], &variables.into());
    // A request is under way, and its time-out is ten seconds.
    let _connection = silent.accept().await.expect("a connection");
    let stopped = Instant::now();
    load.signal("INT").await;
    assert_eq!(load.wait().await, 0, "{}", load.log());
    assert!(stopped.elapsed() < Duration::from_secs(8), "{}", load.log());
    load.wait_for_log(" had no answer yet; ").await;
}

#[tokio::test]
async fn a_load_without_its_token_says_what_to_export() {
    let without = load(&BTreeMap::new(), &[]).await;
    let text = String::from_utf8_lossy(&without.stderr).into_owned();
    assert!(!without.status.success() && text.contains("TOKEN is not set"), "{text}");
    let variables = [("TOKEN", "secret-of-a-load"), ("DOMAIN_ID", "7")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let scene = Scene::new().await;
    let refused = load(&variables.into(), &["--dms", &scene.devnet.dms_url()]).await;
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && text.contains("it answered 401"), "{text}");
    assert!(!text.contains("secret-of-a-load"), "{text}");
}

#[tokio::test]
async fn a_service_manager_hears_that_the_node_is_up_alive_and_about_to_end() {
    let scene = Scene::new().await;
    let path = scene.work().join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    let scene = scene.set("NOTIFY_SOCKET", path.display()).set("WATCHDOG_USEC", 300_000);
    let mut node = scene.node();
    let heard = tokio::task::spawn_blocking(move || {
        socket.set_read_timeout(Some(TIMEOUT)).expect("a timeout");
        let next = move || {
            let mut bytes = [0; 512];
            let length = socket.recv(&mut bytes).expect("the node says something");
            String::from_utf8_lossy(&bytes[..length]).into_owned()
        };
        let (mut ready, mut alive) = (false, 0);
        while !ready || alive < 3 {
            let said = next();
            ready |= said.contains("READY=1");
            alive += usize::from(said.contains("WATCHDOG=1"));
        }
        next
    });
    let next = heard.await.expect("it was heard");
    assert_eq!(node.terminate().await, 0, "{}", node.log());
    // SHUTDOWN_GRACE_SECS is 25 unless it is set, and the end of the process takes 5 s at most.
    let stopping = tokio::task::spawn_blocking(move || {
        loop {
            let said = next();
            if said.contains("STOPPING=1") {
                return said;
            }
        }
    });
    let said = stopping.await.expect("it was heard");
    assert!(said.contains("EXTEND_TIMEOUT_USEC=30000000"), "{said}");
}
