//! The metrics of a node: what docs/metrics.md promises is there and nothing else, in both formats, as others read them; and
//! counters that never fall.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use posemesh_tests::versions::{Does, capability, put, versioned};
use posemesh_tests::{NodeProcess, Scene, TIMEOUT, http_client, root};
use serde_json::json;
use uuid::Uuid;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0";

/// A node that is asked for its metrics.
struct Scraped {
    scene: Scene,
    node: NodeProcess,
    addr: String,
}

impl Scraped {
    /// With a runner that works and one that fails.
    async fn start() -> Self {
        let scene = Scene::new().await.set("STATUS_ADDR", "127.0.0.1:0");
        put(&scene.plugins(), "good.wasm", &versioned(1_000_001, Does::Work, 0));
        put(&scene.plugins(), "bad.wasm", &versioned(1_000_001, Does::Fail, 1));
        let node = scene.node();
        let addr = node.status_addr().await;
        Self { scene, node, addr }
    }

    async fn scrape(&self, accept: Option<&str>) -> (String, String) {
        let mut request = http_client().get(format!("http://{}/metrics", self.addr));
        if let Some(accept) = accept {
            request = request.header("accept", accept);
        }
        let answer = request.send().await.unwrap_or_else(|error| panic!("{error}: {}", self.node.log()));
        assert_eq!(answer.status(), 200);
        let content_type = answer.headers()["content-type"].to_str().expect("text").to_owned();
        (content_type, answer.text().await.expect("a body"))
    }

    fn submit(&self, suffix: u8) -> Uuid {
        self.scene.submit_task(json!({"capability": capability(suffix), "meta": {}, "max_attempts": 1}))
    }

    /// Waits until the node has counted this; the job server knows of the end of a task a moment earlier.
    async fn until(&self, sample: &str) -> String {
        // Three runners are compiled first.
        let deadline = tokio::time::Instant::now() + 5 * TIMEOUT;
        loop {
            let (_, text) = self.scrape(None).await;
            if text.lines().any(|line| line == sample) {
                return text;
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "{sample:?} is not in\n{text}\n{}",
                self.node.log()
            );
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    /// A node that has had both ends of a task.
    async fn with_tasks() -> Self {
        let scraped = Self::start().await;
        scraped.submit(0);
        scraped.submit(1);
        scraped.until("posemesh_node_runner_runs_total{runner=\"good\",result=\"completed\"} 1").await;
        scraped.until("posemesh_node_tasks_ended_total{ending=\"failed\"} 1").await;
        scraped
    }
}

/// A family of metrics: its type, and the labels of its samples.
#[derive(Debug, Default, PartialEq, Eq)]
struct Family {
    kind: String,
    labels: BTreeSet<String>,
}

/// Reads a text strictly: each family once, with help and type before its samples, and a number in each sample.
fn read(text: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let (mut helped, mut current) = (String::new(), String::new());
    for line in text.lines().filter(|line| *line != "# EOF") {
        if let Some(help) = line.strip_prefix("# HELP ") {
            helped = help.split(' ').next().expect("a name").to_owned();
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("a type");
            assert_eq!(name, helped, "{line}");
            current = name.to_owned();
            let family = Family { kind: kind.to_owned(), ..Family::default() };
            assert!(families.insert(current.clone(), family).is_none(), "{name} comes twice");
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
            value.replace("+Inf", "inf").parse::<f64>().unwrap_or_else(|error| panic!("{line}: {error}"));
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let family = families.get_mut(&current).unwrap_or_else(|| panic!("{line}"));
            let endings: &[&str] = match family.kind.as_str() {
                "histogram" => &["_bucket", "_sum", "_count"],
                _ => &["", "_total"],
            };
            assert!(endings.iter().any(|ending| name == format!("{current}{ending}")), "{line} in {current}");
            for label in labels.strip_suffix('}').expect("a brace").split("\",").filter(|one| !one.is_empty())
            {
                let (label, _) = label.split_once("=\"").unwrap_or_else(|| panic!("{line}"));
                family.labels.insert(label.to_owned());
            }
            if family.kind == "histogram" {
                family.labels.remove("le");
            }
        }
    }
    families
}

/// The rows of docs/metrics.md.
fn documented() -> BTreeMap<String, Family> {
    let document = std::fs::read_to_string(root().join("docs/metrics.md")).expect("docs/metrics.md");
    let rows = document.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let labels = cells[3].split(", ").map(|label| label.trim_matches('`').to_owned());
        let labels = labels.filter(|label| !label.is_empty()).collect();
        (cells[1].trim_matches('`').to_owned(), Family { kind: cells[2].to_owned(), labels })
    })
    .collect()
}

#[tokio::test]
async fn what_is_documented_is_there_and_the_other_way_round_in_both_formats() {
    let scraped = Scraped::with_tasks().await;
    let (content_type, text) = scraped.scrape(None).await;
    assert_eq!(content_type, "text/plain; version=0.0.4; charset=utf-8");
    let (documented, there) = (documented(), read(&text));
    assert!(documented.len() > 40, "{} metrics are documented", documented.len());
    let names = |of: &BTreeMap<String, Family>| of.keys().cloned().collect::<BTreeSet<_>>();
    let undocumented: Vec<_> = names(&there).difference(&names(&documented)).cloned().collect();
    let missing: Vec<_> = names(&documented).difference(&names(&there)).cloned().collect();
    // A file system that makes inodes as they are needed counts none.
    let missing: Vec<_> = missing.into_iter().filter(|name| !name.ends_with("_free_inodes")).collect();
    assert_eq!((undocumented, missing), (vec![], vec![]), "{text}");
    for (name, family) in &there {
        assert_eq!(family, &documented[name], "{name}");
    }

    let (content_type, open) = scraped.scrape(Some(OPEN_METRICS)).await;
    assert_eq!(content_type, "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(open.ends_with("\n# EOF\n") && !text.contains("# EOF"), "{open}");
    let expected: BTreeSet<String> = there
        .iter()
        .map(|(name, family)| match family.kind.as_str() {
            "counter" => name.strip_suffix("_total").expect("the ending of a counter").to_owned(),
            _ => name.clone(),
        })
        .collect();
    assert_eq!(names(&read(&open)), expected);
    read_by_others(&text, &open);
}

/// Gives both formats to the parsers of Prometheus and of its Python library.
fn read_by_others(plain: &str, open: &str) {
    if let Some(promtool) = tool("promtool") {
        // Prometheus' own parser, and its rules for names.
        content_with(&promtool, &["check", "metrics"], plain, None);
    }
    if let Some(wheel) = tool("prometheus_client.whl") {
        let program = "import sys; from prometheus_client.PARSER import text_string_to_metric_families as read; \
                       families = list(read(sys.stdin.read())); assert len(families) > 40, families";
        for (parser, text) in [("parser", plain), ("openmetrics.parser", open)] {
            let program = program.replace("PARSER", parser);
            content_with(Path::new("python3"), &["-c", &program], text, Some(&wheel));
        }
    }
}

#[tokio::test]
async fn what_has_happened_is_counted_and_the_counters_of_a_runner_do_not_fall_when_it_is_swapped_or_goes() {
    let scraped = Scraped::with_tasks().await;
    for line in [
        "posemesh_node_leases_total 2",
        "posemesh_node_polls_total{result=\"lease\"} 2",
        "posemesh_node_tasks_ended_total{ending=\"completed\"} 1",
        "posemesh_node_task_duration_seconds_count{ending=\"completed\"} 1",
        "posemesh_node_task_failures_total{kind=\"runner_error\",blame=\"runner\"} 1",
        "posemesh_node_runner_runs_total{runner=\"bad\",result=\"failed\"} 1",
        "posemesh_node_runner_failures_total{runner=\"bad\",blame=\"runner\"} 1",
        "posemesh_node_runner_generations{stage=\"live\"} 3",
        "posemesh_node_runner_breaker_state{runner=\"bad\",state=\"closed\"} 1",
        "posemesh_node_registered 1",
        "posemesh_node_slots 1",
    ] {
        // What the job server has seen, the node may count a moment later; a runner may load late.
        scraped.until(line).await;
    }
    let (_, text) = scraped.scrape(None).await;
    let value = |series: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{series} is not in\n{text}")).parse::<f64>().expect("a number")
    };
    assert!(value("posemesh_node_requests_total{peer=\"dms\",result=\"200\"}") >= 4.0, "{text}");
    assert!(value("posemesh_node_request_duration_seconds_count{peer=\"dds\"}") >= 2.0, "{text}");
    // The registration of a runner that loads late brings another login.
    assert!(value("posemesh_node_logins_total{result=\"succeeded\"}") >= 1.0, "{text}");
    assert!(value("posemesh_node_heartbeat_margin_seconds_count") >= 2.0, "{text}");
    assert!(value("posemesh_node_token_expiry_timestamp_seconds") > 1e9, "{text}");
    assert!(value("posemesh_node_last_poll_success_timestamp_seconds") > 1e9, "{text}");
    assert!(value("posemesh_node_clock_skew_seconds{peer=\"dms\"}").abs() < 60.0, "{text}");
    assert!(value("posemesh_node_file_system_free_bytes{folder=\"work\"}") > 0.0, "{text}");
    assert!(value("process_resident_memory_bytes") > 1e6 && value("process_threads") >= 2.0, "{text}");

    put(&scraped.scene.plugins(), "good.wasm", &versioned(1_000_002, Does::Work, 0));
    // The second generation is the fourth that went live; the first is kept for a rollback.
    scraped.until("posemesh_node_runner_stages_total{stage=\"live\"} 4").await;
    scraped.submit(0);
    let ran = "posemesh_node_runner_runs_total{runner=\"good\",result=\"completed\"} 2";
    scraped.until(ran).await;
    std::fs::remove_file(scraped.scene.plugins().join("good.wasm")).expect("removed");
    let text = scraped.until("posemesh_node_runner_generations{stage=\"live\"} 2").await;
    assert!(text.lines().any(|line| line == ran), "{text}");
}

/// Tools of others, if the set-up could get them.
fn tool(name: &str) -> Option<PathBuf> {
    let tools =
        std::env::var_os("POSEMESH_TOOLS_DIR").map_or_else(|| root().join("target/tools"), PathBuf::from);
    let tool = tools.join(name);
    if !tool.exists() {
        eprintln!("skipped: {} is not there; `cargo xtask deploy` gets it", tool.display());
    }
    Some(tool).filter(|tool| tool.exists())
}

/// Gives a program this text; it must be content.
fn content_with(program: &Path, arguments: &[&str], text: &str, python_path: Option<&Path>) {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(path) = python_path {
        command.env("PYTHONPATH", path);
    }
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads all");
    let output = child.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}\n{text}", String::from_utf8_lossy(&said));
}
