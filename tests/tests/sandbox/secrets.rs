//! A sandbox process of a real node holds none of its secrets.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::process::Command;
use std::time::Duration;

use posemesh_tests::{ADMIN_TOKEN, Scene, http_client, node_binary};
use serde_json::Value;

use crate::beside_others;

/// The sandbox processes of a node.
pub(crate) fn children(node: u32) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let parent =
            stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse::<u32>().ok());
        let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if parent == Some(node) && line.contains("serve-runner") {
            found.push(pid);
        }
    }
    found
}

/// Whether any memory of a process holds one of these; None when this user may not look.
fn holds(pid: u32, needles: &[&str]) -> Option<Vec<String>> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let mut memory = std::fs::File::open(format!("/proc/{pid}/mem")).ok()?;
    let mut found = Vec::new();
    for line in maps.lines() {
        let mut words = line.split_whitespace();
        let (range, rights) = (words.next()?, words.next()?);
        let (from, to) = range.split_once('-')?;
        let (from, to) = (u64::from_str_radix(from, 16).ok()?, u64::from_str_radix(to, 16).ok()?);
        // The program's own file can't hold them.
        if !rights.starts_with("rw") || to - from > 1 << 30 {
            continue;
        }
        let mut bytes = Vec::new();
        if memory.seek(SeekFrom::Start(from)).is_err() {
            continue;
        }
        let _ = (&mut memory).take(to - from).read_to_end(&mut bytes);
        for needle in needles {
            if bytes.windows(needle.len()).any(|window| window == needle.as_bytes()) {
                found.push(format!("{needle} in {line}"));
            }
        }
    }
    Some(found)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_process_holds_no_secret_of_the_node() {
    let _shared = beside_others().await;
    let scene = Scene::new().await.set("ADMIN_TOKEN", ADMIN_TOKEN).set("STATUS_ADDR", "127.0.0.1:0");
    let node = scene.node();
    let task = scene.submit_noop(Duration::from_secs(3));
    node.wait_for_log("running").await;
    let key = scene.variables["SECP256K1_PRIVHEX"].clone();
    let secret = scene.variables["REG_SECRET"].clone();
    let needles = [key.trim_start_matches("0x"), secret.as_str(), ADMIN_TOKEN];
    let processes = children(node.id());
    assert!(!processes.is_empty(), "{}", node.log());
    for pid in processes {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let environment = String::from_utf8_lossy(&environment).into_owned();
        assert_eq!(environment.trim_end_matches('\0'), "MALLOC_ARENA_MAX=2");
        if let Some(found) = holds(pid, &needles) {
            assert!(found.is_empty(), "{found:?}");
        }
        for entry in std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
            let target = std::fs::read_link(entry.path()).unwrap_or_default().display().to_string();
            let known = ["socket:", "pipe:", "/dev/null", "anon_inode:", "/memfd:posemesh-"];
            let own = scene.work().display().to_string();
            assert!(known.iter().any(|one| target.starts_with(one)) || target.starts_with(&own), "{target}");
        }
    }
    scene.wait_for_end(task, &node).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_this_system_lacks_for_the_sandbox_is_told() {
    let _shared = beside_others().await;
    let scene = Scene::new().await.set("STATUS_ADDR", "127.0.0.1:0");
    let node = scene.node();
    let addr = node.status_addr().await;
    let told = http_client().get(format!("http://{addr}/api/status")).send().await.expect("an answer");
    let told: Value = serde_json::from_str(&told.text().await.expect("a body")).expect("JSON");
    assert_eq!(told["sandbox"]["mode"], "best-effort", "{told}");
    let missing = told["sandbox"]["missing"].as_array().expect("a list").len();
    let check = |mode: &str| {
        let mut command = Command::new(node_binary());
        command.args(["config", "check"]).env_clear().envs(&scene.variables).env("SANDBOX", mode);
        command.output().expect("an answer")
    };
    let required = check("require");
    // On a system that has everything, and on one that lacks something.
    assert_eq!(required.status.success(), missing == 0, "{}", String::from_utf8_lossy(&required.stderr));
    for (mode, word) in [("best-effort", "# sandbox: "), ("off", "# sandbox: off")] {
        let printed = check(mode);
        let text = String::from_utf8_lossy(&printed.stdout).into_owned();
        assert!(printed.status.success() && text.contains(word), "{mode}: {text}");
    }
}
