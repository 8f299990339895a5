//! What `curl` prints of a node: the transcripts of docs/transcripts.md. They are in `tests/golden/curl`, and compared but for
//! numbers, ids and dates; `UPDATE_GOLDEN=1` writes those anew that differ otherwise, and `cargo xtask docs` the document.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use posemesh_tests::{ADMIN_TOKEN, NodeProcess, Scene, TIMEOUT, http_client, root};
use serde_json::Value;
use tokio::time::{Instant, sleep};

/// Where the node of the document answers.
const STATUS_ADDR: &str = "127.0.0.1:8090";
/// The folder of the node of the document, and the address of its servers.
const FOLDER: &str = "/var/lib/posemesh-node";
const SERVERS: &str = "127.0.0.1:18080";

/// A node, and what stands for its own names in the transcripts.
struct Session {
    scene: Scene,
    addr: String,
    socket: PathBuf,
}

impl Session {
    /// What a shell prints of a command of the document, in the words of the document.
    async fn printed(&self, command: &str) -> String {
        let socket = self.socket.display().to_string();
        let real = command.replace(STATUS_ADDR, &self.addr).replace("$SOCKET", &socket);
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &real]).env("ADMIN_TOKEN", ADMIN_TOKEN);
        let output = tokio::task::spawn_blocking(move || shell.output()).await.expect("it ran");
        let output = output.expect("an output");
        let printed = String::from_utf8_lossy(&output.stdout).replace('\r', "");
        assert!(!printed.is_empty(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(!printed.contains(ADMIN_TOKEN), "{printed}");
        let servers = self.scene.devnet.addr().to_string();
        let printed = printed.replace(&self.scene.work().display().to_string(), FOLDER);
        printed.replace(&self.addr, STATUS_ADDR).replace(&servers, SERVERS)
    }

    /// A command and what it prints.
    async fn step(&self, command: &str) -> String {
        format!("$ {command}\n{}\n", self.printed(command).await.trim_end())
    }

    /// A command whose answer is JSON, and these of its fields, as `jq` prints them.
    async fn json_step(&self, command: &str, fields: &[&str]) -> String {
        let printed = self.printed(command).await;
        let answer: Value =
            serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}"));
        let field = |name: &&str| ((*name).to_owned(), answer[*name].clone());
        let (filter, shown) = match fields {
            [] => (".".to_owned(), answer),
            _ => (format!("'{{{}}}'", fields.join(", ")), fields.iter().map(field).collect()),
        };
        format!("$ {command} | jq -S {filter}\n{shown:#}\n")
    }
}

/// A text with what is another one at each run replaced: numbers, ids and dates.
fn masked(text: &str) -> String {
    let mut masked = String::new();
    for line in text.lines() {
        if line.starts_with("date: ") {
            masked += "date: D\n";
            continue;
        }
        let mut rest = line;
        while let Some(at) = rest.find(|char: char| char.is_ascii_hexdigit()) {
            let (before, from) = rest.split_at(at);
            masked += before;
            let end =
                from.find(|char: char| !"0123456789abcdefABCDEF-.xTZ:".contains(char)).unwrap_or(from.len());
            let (word, after) = from.split_at(end);
            // A word of letters is no number, and "1.0.0" is one as well as an id or a date.
            let is_number = word.contains(|char: char| char.is_ascii_digit());
            masked += if is_number { "N" } else { word };
            rest = after;
        }
        masked += rest;
        masked.push('\n');
    }
    masked
}

fn assert_golden(name: &str, steps: &[String]) {
    let told = steps.join("\n");
    let path = root().join("tests/golden/curl").join(format!("{name}.txt"));
    let golden = fs::read_to_string(&path).unwrap_or_default();
    if masked(&golden) == masked(&told) {
        return;
    }
    assert!(
        std::env::var_os("UPDATE_GOLDEN").is_some(),
        "{} says\n{golden}\nand curl printed\n{told}",
        path.display()
    );
    fs::write(&path, told).expect("written");
}

/// Waits until the node has ended this many tasks and is ready.
async fn is_ready_after(addr: &str, tasks: u64, node: &NodeProcess) {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let answer = http_client().get(format!("http://{addr}/api/status")).send().await.expect("an answer");
        let status: Value = serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON");
        if status["state"] == "ready" && status["totals"]["completed"] == tasks {
            return;
        }
        assert!(Instant::now() < deadline, "{status}: {}", node.log());
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn what_curl_prints_is_what_the_document_shows() {
    if !Command::new("curl").arg("--version").output().is_ok_and(|output| output.status.success()) {
        eprintln!("there is no curl on this machine, and nothing was compared");
        return;
    }
    let scene = Scene::new().await.set("STATUS_ADDR", "127.0.0.1:0").set("ADMIN_TOKEN", ADMIN_TOKEN);
    let mut node = scene.node();
    let addr = node.status_addr().await;
    for _ in 0..3 {
        let task = scene.submit_noop(Duration::from_millis(20));
        scene.wait_for_end(task, &node).await;
    }
    is_ready_after(&addr, 3, &node).await;
    let work = fs::read_dir(&scene.variables["WORK_DIR"]).expect("WORK_DIR").flatten();
    let socket = work.map(|entry| entry.path().join("control.sock")).find(|path| path.exists());
    let session = Session { scene, addr, socket: socket.expect("a socket") };

    let mut told: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    told.insert("health", vec![session.step("curl -si http://127.0.0.1:8090/health").await]);
    told.insert("ready", vec![session.step("curl -si http://127.0.0.1:8090/ready").await]);
    told.insert(
        "status",
        vec![
            session
                .json_step(
                    "curl -s http://127.0.0.1:8090/api/status",
                    &["state", "missing", "version", "who", "dds", "dms", "totals", "blame"],
                )
                .await,
        ],
    );
    told.insert(
        "tasks",
        vec![
            session.json_step("curl -s 'http://127.0.0.1:8090/api/tasks?limit=1'", &[]).await,
            session
                .json_step("curl -s 'http://127.0.0.1:8090/api/tasks?limit=2&before=3'", &["next", "total"])
                .await,
        ],
    );
    let shown = "| grep -E '^HTTP|^content-type|tasks_ended|# EOF'";
    let open = "-H 'Accept: application/openmetrics-text'";
    told.insert(
        "metrics",
        vec![
            session.step(&format!("curl -si http://127.0.0.1:8090/metrics {shown}")).await,
            session.step(&format!("curl -si {open} http://127.0.0.1:8090/metrics {shown}")).await,
        ],
    );
    let events = "curl -siN http://127.0.0.1:8090/api/events | head -n 7 | cut -c 1-50";
    told.insert("events", vec![session.step(events).await]);

    let pause = "-X POST 'http://127.0.0.1:8090/api/admin/pause?note=new%20disk&secs=1800'";
    let bearer = "-H \"Authorization: Bearer $ADMIN_TOKEN\"";
    let admin = vec![
        session.step(&format!("curl -si {pause}")).await,
        session.step(&format!("curl -si {bearer} {pause}")).await,
    ];
    told.insert("not_ready", vec![session.step("curl -si http://127.0.0.1:8090/ready").await]);
    let by_socket = "curl -s --unix-socket \"$SOCKET\" -X POST http://localhost/api/admin/resume";
    told.insert("admin", [admin, vec![session.step(by_socket).await]].concat());
    for (name, steps) in told {
        assert_golden(name, &steps);
    }
    assert_eq!(node.terminate().await, 0, "{}", node.log());
}

#[test]
fn numbers_ids_and_dates_may_differ_and_words_may_not() {
    let line = |text: &str| masked(text).trim_end().to_owned();
    assert_eq!(line("took 12 ms: 0xaf73 c07792b5-9c2f, 2026-11-27T14:02:36.06Z"), "took N ms: N N, N");
    assert_eq!(line("date: Fri, 27 Nov 2026 14:02:38 GMT"), "date: D");
    assert_eq!(line("{\"deadline_ms\":false}"), "{\"deadline_ms\":false}");
}
