//! The node's own process: what others on the machine find when they look at it and at what it starts.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, Instant};

use posemesh_devnet::TaskStatus;
use posemesh_tests::{ADMIN_TOKEN, NodeProcess, Scene, TIMEOUT, leases_of, node_binary};

/// The bytes of a file of `/proc`; empty if the process is gone.
fn bytes(path: impl AsRef<Path>) -> Vec<u8> {
    fs::read(path).unwrap_or_default()
}

fn has(haystack: &[u8], needle: &str) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle.as_bytes())
}

/// The processes that a process has started and that are there now.
fn children_of(parent: u32) -> Vec<u32> {
    let ids = fs::read_dir("/proc").expect("/proc").flatten();
    let ids = ids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let is_child = |id: &u32| {
        let stat = String::from_utf8_lossy(&bytes(format!("/proc/{id}/stat"))).into_owned();
        // Behind the name, which may have anything in it: the state, and the parent.
        let rest = stat.rsplit_once(')').map(|(_, rest)| rest.to_owned()).unwrap_or_default();
        rest.split_whitespace().nth(1) == Some(&parent.to_string())
    };
    ids.filter(is_child).collect()
}

#[tokio::test]
async fn neither_the_node_nor_what_it_starts_has_a_secret_in_its_environment() {
    let scene = Scene::new()
        .await
        .set("ADMIN_TOKEN", ADMIN_TOKEN)
        .set("HTTPS_PROXY", "http://me:hunter2@127.0.0.1:9")
        .set("RUST_LOG", "info,posemesh=debug")
        .cold();
    let secrets: Vec<String> = ["REG_SECRET", "SECP256K1_PRIVHEX", "ADMIN_TOKEN"]
        .map(|name| scene.variables[name].clone())
        .into_iter()
        .chain(["hunter2".to_owned()])
        .collect();
    let mut node = scene.node();
    let looked_at = |what: &str, id: u32| {
        // Of the node alone what it was handed: a compiler reads its component there, and whoever looks takes it away.
        let files =
            if what == "the node" { &["environ", "cmdline", "fd/0"][..] } else { &["environ", "cmdline"] };
        for file in files {
            let seen = bytes(format!("/proc/{id}/{file}"));
            let found = secrets.iter().find(|secret| has(&seen, secret));
            assert!(found.is_none(), "a secret is in {file} of {what}:\n{}", node.log());
        }
    };
    // Once it logs it is the process that has taken over.
    node.wait_for_log("what tasks may use").await;
    looked_at("the node", node.id());
    let began = Instant::now();
    let mut compilers = 0;
    while compilers == 0 {
        assert!(began.elapsed() < TIMEOUT, "no compiler was seen:\n{}", node.log());
        for child in children_of(node.id()) {
            looked_at("a compiler", child);
            compilers += usize::from(has(&bytes(format!("/proc/{child}/cmdline")), "compile-component"));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // With the secrets all the same: it registers and logs in.
    scene.wait_for_work_wanted(&node).await;
    looked_at("the node", node.id());
    let name = String::from_utf8(bytes(format!("/proc/{}/comm", node.id()))).expect("text");
    assert_eq!(name.trim(), "posemesh-node", "lists of processes show its name");
    assert_eq!(node.terminate().await, 0, "{}", node.log());
}

#[tokio::test]
async fn the_node_leaves_no_core_dump() {
    let scene = Scene::new().await;
    let node = scene.node();
    node.wait_for_log("what tasks may use").await;
    let limits = String::from_utf8(bytes(format!("/proc/{}/limits", node.id()))).expect("text");
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("the limit");
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    assert_eq!(core.split_whitespace().nth(5), Some("0"), "{core}");
}

#[tokio::test]
async fn the_secrets_may_lie_in_files_and_in_credentials_of_systemd() {
    let mut scene = Scene::new().await.set("STATUS_ADDR", "127.0.0.1:0");
    let credentials = scene.work().join("credentials");
    fs::create_dir(&credentials).expect("a folder");
    let key = scene.variables.remove("SECP256K1_PRIVHEX").expect("set");
    let secret = scene.variables.remove("REG_SECRET").expect("set");
    fs::write(credentials.join("SECP256K1_PRIVHEX"), format!("{key}\n")).expect("written");
    let file = scene.work().join("secret");
    fs::write(&file, format!("{secret}\n")).expect("written");
    let token = scene.work().join("token");
    fs::write(&token, ADMIN_TOKEN).expect("written");
    let scene = scene
        .set("CREDENTIALS_DIRECTORY", credentials.display())
        .set("REG_SECRET_FILE", file.display())
        .set("ADMIN_TOKEN_FILE", token.display());
    let mut check = NodeProcess::start(&node_binary(), &["config", "check"], &scene.variables);
    assert_eq!(check.wait().await, 0, "{}", check.log());
    check.wait_for_log("SECP256K1_PRIVHEX=[redacted] (address").await;
    let log = check.log();
    let (_, of_file) = log.split_once("# file\n").expect("what comes from a file");
    let (of_file, of_systemd) = of_file.split_once("# systemd credential\n").expect("a credential");
    assert!(of_file.contains("# REG_SECRET=[redacted]\n"), "{log}");
    assert!(of_systemd.contains("# SECP256K1_PRIVHEX=[redacted] (address"), "{log}");
    assert!([&key, &secret, &ADMIN_TOKEN.to_owned()].iter().all(|secret| !log.contains(*secret)), "{log}");

    let node = scene.node();
    scene.wait_for_work_wanted(&node).await;
    // The command line finds the token as the node does.
    let addr = node.status_addr().await;
    let rescan = ["plugin", "rescan", "--status-addr", &addr];
    let mut command = NodeProcess::start(&node_binary(), &rescan, &scene.variables);
    assert_eq!(command.wait().await, 0, "{}", command.log());
}

/// Input that is left over from another program is not taken for secrets.
#[tokio::test]
async fn the_mark_of_the_handover_alone_takes_nothing_over() {
    let scene = Scene::new().await.set("POSEMESH_NODE_HANDED_OVER", "1");
    let node = scene.node();
    node.wait_for_log("the secrets stay in this process's environment").await;
    scene.wait_for_work_wanted(&node).await;
    let mut own = Vec::new();
    fs::File::open(format!("/proc/{}/environ", node.id()))
        .expect("there")
        .read_to_end(&mut own)
        .expect("read");
    assert!(has(&own, "POSEMESH_NODE_HANDED_OVER"));
}

/// Another user than root, who owns nothing.
const NOBODY: &str = "65534";
/// Runs a program as another user.
const SETPRIV: &str = "/usr/bin/setpriv";

fn as_nobody(program: &str, args: &[&str]) -> Vec<String> {
    let user = ["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", program];
    user.iter().chain(args).map(|word| (*word).to_owned()).collect()
}

/// Whether a process of another user can read the environment and the descriptors of a process.
fn nobody_can_look_into(id: u32) -> bool {
    let look = |program: &str, file: &str| {
        let args = as_nobody(program, &[&format!("/proc/{id}/{file}")]);
        std::process::Command::new(SETPRIV).args(args).output().expect("started").status.success()
    };
    look("/bin/cat", "environ") || look("/bin/ls", "fd/") || look("/bin/cat", "maps")
}

#[tokio::test]
async fn another_process_of_the_nodes_user_can_not_look_into_it_or_into_what_it_starts() {
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    if !is_root || !Path::new(SETPRIV).exists() {
        eprintln!("skipped: only root can become another user (with {SETPRIV})");
        return;
    }
    let scene = Scene::new().await;
    // Wherever the program was built, another user may not get there.
    let program = scene.work().join("posemesh-node");
    fs::copy(node_binary(), &program).expect("a copy");
    for folder in [scene.work().to_owned(), scene.plugins()] {
        let owned = std::process::Command::new("chown").args(["-R", NOBODY]).arg(folder).status();
        assert!(owned.expect("started").success());
    }
    let args = as_nobody(program.to_str().expect("UTF-8"), &["run"]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut node = NodeProcess::start(Path::new(SETPRIV), &args, &scene.variables);
    scene.wait_for_work_wanted(&node).await;
    // The same user's, as anything else is.
    let other = as_nobody("/bin/sleep", &["600"]);
    let mut other = std::process::Command::new(SETPRIV).args(other).spawn().expect("started");
    let began = Instant::now();
    while !nobody_can_look_into(other.id()) {
        assert!(began.elapsed() < TIMEOUT, "this user looks into its other processes");
    }
    other.kill().expect("it runs");
    other.wait().expect("it ended");
    assert!(!nobody_can_look_into(node.id()), "the node");
    let task = scene.submit_noop(Duration::from_millis(1));
    let end = scene.wait_for_end(task, &node).await;
    assert_eq!(end.status, posemesh_devnet::TaskStatus::Completed, "{}", node.log());
    let children = children_of(node.id());
    assert!(!children.is_empty(), "the sandbox process waits for the next task:\n{}", node.log());
    for child in children {
        assert!(!nobody_can_look_into(child), "a sandbox process");
    }
    assert_eq!(node.terminate().await, 0, "{}", node.log());
}

#[tokio::test]
async fn a_node_that_did_not_run_for_a_minute_ends_no_task_for_that() {
    // The lease outlasts it: a machine or a container that is paused and goes on.
    let scene = Scene::with(leases_of(Duration::from_secs(600))).await;
    let node = scene.node();
    let task = scene.submit_noop(Duration::from_secs(68));
    scene.wait_for_running(task, &node).await;
    node.signal("STOP").await;
    tokio::time::sleep(Duration::from_secs(63)).await;
    node.signal("CONT").await;
    let ended = scene.wait_for_end(task, &node).await;
    assert_eq!(ended.status, TaskStatus::Completed, "{:?}\n{}", ended.failures, node.log());
    assert_eq!(ended.leases.len(), 1, "{}", node.log());
}
