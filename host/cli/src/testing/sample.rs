//! What nodes answer to `/api/status`: made up, with everything that can be shown.

use serde_json::{Value, json};

use crate::overview::Overview;

fn overview(answer: Value) -> Overview {
    serde_json::from_value(answer).unwrap_or_default()
}

fn limits(memory: u64, processor: u64) -> Value {
    json!([
        {"limit": "memory_bytes", "used": memory << 20, "of": 1_u64 << 30},
        {"limit": "cpu_time_ms", "used": processor, "of": 600_000},
        {"limit": "open_handles", "used": 3, "of": 1024},
    ])
}

fn working(id: &str, runner: &str, part: f64, stage: &str, took_ms: u64, memory: u64) -> Value {
    json!({
        "id": format!("{id}-52a1-4c1e-9a55-0d6a31a7c0de"), "capability": "/posemesh/pointcloud/v1", "runner": runner,
        "state": "running", "reason": null, "progress": {"progress": part, "stage": stage}, "took_ms": took_ms,
        "lease_ends_in_ms": 41_200, "limits": limits(memory, took_ms / 2),
        "traffic": {"bytes_in": 48_234_496, "bytes_out": 0},
    })
}

fn ended(id: &str, runner: &str, state: &str, took_ms: u64, reason: Option<&str>) -> Value {
    json!({
        "id": format!("{id}-0f7e-4b7a-8f1d-6a1f5b0c4e21"), "capability": "/posemesh/pointcloud/v1", "runner": runner,
        "state": state, "reason": reason, "progress": {}, "took_ms": took_ms, "limits": limits(212, took_ms / 2),
        "traffic": {"bytes_in": 12_582_912, "bytes_out": 3_407_872},
    })
}

fn runner(name: &str, version: &str, number: u64, serves: &str, done: u64) -> Value {
    json!({
        "name": name, "loading": null, "refused": null, "serves": [serves],
        "breaker": {"state": "closed"}, "canary_share": null,
        "generations": [{
            "number": number, "version": version, "stage": "live", "granted": ["variables: LOD"], "not_granted": [],
            "sha256": "5b1f0c36e0a2f4aa8f9a2c5d2b9f71d6c2f5d7b1a0c9e8f7060504030201f0e1",
            "tasks": {"running": 1, "completed": done, "failed": 2},
        }],
    })
}

fn hour() -> Vec<Value> {
    let minute = |ago: u64| {
        // Two waves of work, and trouble half an hour ago.
        let completed = 4 + (ago * 7 % 11) + if (12..30).contains(&ago) { 9 } else { 0 };
        let failed = if (28..33).contains(&ago) { ago - 26 } else { 0 };
        let p95 = 1800 + ago * 61 % 900 + failed * 900;
        json!({"ago": ago, "completed": completed, "failed": failed, "lost": u64::from(ago == 31),
            "median_ms": 900 + ago * 37 % 300, "p95_ms": p95})
    };
    (0..55).rev().map(minute).collect()
}

/// Each of these nodes, by the name of its golden files.
pub(crate) fn all() -> [(&'static str, Overview); 3] {
    [("ready", ready()), ("not_ready", not_ready()), ("empty", empty())]
}

/// A node that works.
pub(crate) fn ready() -> Overview {
    let mut canary = runner("splat", "2.1.0", 9, "/posemesh/splat/v2", 18);
    if let Some(generations) = canary.get_mut("generations").and_then(Value::as_array_mut) {
        let mut trial = generations.first().cloned().unwrap_or_default();
        for (field, value) in [("stage", json!("canary")), ("version", json!("2.2.0")), ("number", json!(12))]
        {
            if let Some(place) = trial.get_mut(field) {
                *place = value;
            }
        }
        generations.insert(0, trial);
    }
    if let Some(share) = canary.get_mut("canary_share") {
        *share = json!(0.2);
    }
    overview(json!({
        "state": "ready", "missing": [],
        "warnings": ["WORK_DIR has 812.0 MiB left; tasks that need more will fail"],
        "pid": 4711, "version": "0.1.0", "commit": "3f9c1e0a77d24b51c6aa", "who": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "host": "hall-3",
        "uptime_secs": 273_840,
        "settings": [["MAX_CONCURRENCY", "4", "posemesh-node.toml"], ["MEMORY_BUDGET", "8GiB", "the environment"],
            ["REG_SECRET", "[redacted]", "REG_SECRET_FILE"], ["WORK_DIR", "/var/lib/posemesh-node/work", "the environment"]],
        "dds": {"through": "dds.auki.network:443", "registration": "registered", "registered": true, "error": null,
            "token_valid_secs": 2932, "token_error": null},
        "dms": {"through": "dms.auki.network:443", "answered_secs_ago": 1, "error": null, "last_poll": "no_work",
            "last_poll_secs_ago": 1},
        "servers": [
            {"kind": "dds", "through": "dds.auki.network:443", "requests": 2, "failed": 0, "failed_secs_ago": null,
                "error": null, "clock_ahead_secs": 0.2},
            {"kind": "dms", "through": "dms.auki.network:443", "requests": 214, "failed": 0, "failed_secs_ago": null,
                "error": null, "clock_ahead_secs": 0.1},
            {"kind": "domain_server", "through": "domains-eu.example.org:443", "requests": 96, "failed": 3,
                "failed_secs_ago": 41, "error": "503 Service Unavailable", "clock_ahead_secs": 14.0},
            {"kind": "domain_server", "through": "domains-us.example.org:443", "requests": 31, "failed": 0,
                "failed_secs_ago": null, "error": null, "clock_ahead_secs": 1.0},
        ],
        "capacity": {"slots": 4, "running": 3, "memory_budget": 8_u64 << 30, "memory_promised": 3216_u64 << 20,
            "memory_used": 1246_u64 << 20, "memory_available": 21_u64 << 30, "memory_low": false,
            "descriptors_free": 65_312, "descriptors_low": false, "threads": 19, "folders": [
                {"variable": "WORK_DIR", "free_bytes": 812_u64 << 20, "free_inodes": 3_276_800, "low": true},
                {"variable": "CACHE_DIR", "free_bytes": 78_u64 << 30, "free_inodes": 5_242_880, "low": false},
            ]},
        "tasks": [
            working("9d3c71b2", "pointcloud 1.4.0 #7", 0.72, "octree", 38_400, 312),
            working("0b77e6fa", "splat 2.2.0 #12", 0.31, "training", 151_000, 870),
            working("c41d09ee", "mesh 0.9.2 #5", 0.05, "reading", 2100, 64),
            ended("77aa0c1d", "pointcloud 1.4.0 #7", "completed", 1840, None),
            ended("5be2f0c4", "mesh 0.9.2 #5", "failed", 620, Some("bad input: the file has no faces (task's fault)")),
            ended("1f00d9a3", "pointcloud 1.4.0 #7", "completed", 1710, None),
            ended("e5c8a2b7", "splat 2.1.0 #9", "lost", 61_000, Some("the job server answered 404 to the heartbeat")),
            ended("aa41c3f9", "pointcloud 1.4.0 #7", "completed", 2030, None),
            ended("30b9f7e1", "pointcloud 1.4.0 #7", "cancelled", 940, None),
            ended("64c2d8a5", "mesh 0.9.2 #5", "completed", 3210, None),
        ],
        "totals": {"leased": 1204, "completed": 1180, "failed": 17, "cancelled": 3, "lost": 1},
        "hour": hour(),
        "hour_failures": [{"kind": "bad_input", "blame": "task", "count": 11}, {"kind": "limit", "blame": "runner", "count": 3},
            {"kind": "domain_server", "blame": "server", "count": 1}],
        "plugins": [
            runner("mesh", "0.9.2", 5, "/posemesh/mesh/v1", 402),
            runner("pointcloud", "1.4.0", 7, "/posemesh/pointcloud/v1", 760),
            canary,
        ],
    }))
}

/// A node to which servers, a runner and the clock do harm. Texts of strangers try to draw on the terminal.
pub(crate) fn not_ready() -> Overview {
    let mut broken = runner("mesh", "0.9.2", 5, "/posemesh/mesh/v1", 402);
    if let Some(loading) = broken.get_mut("loading") {
        *loading = json!({"number": 6, "stage": "verified", "compiling_ms": 3200});
    }
    if let Some(asked) = broken.pointer_mut("/generations/0/not_granted") {
        *asked = json!(["hosts: example.org\u{1b}[2J"]);
    }
    if let Some(state) = broken.get_mut("breaker") {
        *state = json!({"state": "open", "half_open_in_secs": 48, "why": "5 failures in a row",
            "last_failure": "trap: unreachable\u{1b}[2J\u{202e}"});
    }
    overview(json!({
        "state": "not_ready",
        "missing": [
            "not registered: DDS answered 403 Forbidden: the registration secret is not known; check REG_SECRET",
            "DMS has not answered for 1 min 12 s: connection refused",
            "no machine token: the login was not tried before the registration",
            "PLUGINS_DIR: mesh is switched off by its circuit breaker",
            "the clock is 412 s ahead of DDS",
            "\u{1b}]0;owned\u{7}",
        ],
        "warnings": [],
        "pid": 815, "version": "0.1.0", "who": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "host": "hall-3",
        "uptime_secs": 92,
        "dds": {"through": "dds.auki.network:443 by proxy.local:3128", "registration": "refused", "registered": false,
            "error": "403 Forbidden", "token_valid_secs": null, "token_error": null},
        "dms": {"through": "dms.auki.network:443", "answered_secs_ago": 72, "error": "connection refused",
            "last_poll": "failed", "last_poll_secs_ago": 1},
        "servers": [
            {"kind": "dds", "through": "dds.auki.network:443", "requests": 9, "failed": 9, "failed_secs_ago": 2,
                "error": "403 Forbidden", "clock_ahead_secs": -412.0},
            {"kind": "dms", "through": "dms.auki.network:443", "requests": 31, "failed": 14, "failed_secs_ago": 1,
                "error": "connection refused", "clock_ahead_secs": null},
        ],
        "capacity": {"slots": 1, "running": 0, "memory_budget": 1_u64 << 30, "memory_available": 90_u64 << 20,
            "memory_low": true, "descriptors_free": 12, "descriptors_low": true, "threads": 9, "folders": [
                {"variable": "WORK_DIR", "free_bytes": null, "free_inodes": null, "low": true},
                {"variable": "CACHE_DIR", "free_bytes": 78_u64 << 30, "free_inodes": null, "low": false},
            ]},
        "tasks": [ended("77aa0c1d", "mesh 0.9.2 #5", "failed", 1840, Some("trap: unreachable\r\n\u{1b}[31mREADY"))],
        "totals": {"leased": 1, "completed": 0, "failed": 1, "cancelled": 0, "lost": 0},
        "hour": [{"ago": 1, "completed": 0, "failed": 1, "lost": 0, "median_ms": 1840, "p95_ms": 1840}],
        "hour_failures": [{"kind": "trap\u{1b}[2J", "blame": "runner", "count": 1}],
        "plugins": [broken, {
            "name": "broken\u{1b}[2J", "generations": [], "loading": null, "serves": [],
            "refused": {"number": 3, "passed": "found", "reason": "not a component: it begins with \u{7f}ELF"},
        }],
    }))
}

/// A node that has just been started, and has no runner.
pub(crate) fn empty() -> Overview {
    overview(json!({
        "state": "not_ready", "missing": ["PLUGINS_DIR has no runner"], "warnings": [],
        "pid": 99, "version": "0.1.0", "who": "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "host": "hall-3",
        "uptime_secs": 1,
        "dds": {"through": "127.0.0.1:18190", "registration": "not registered yet", "registered": false,
            "token_valid_secs": null},
        "dms": {"through": "127.0.0.1:18191", "answered_secs_ago": null, "error": null},
        "servers": [],
        "capacity": {"slots": 1, "running": 0, "memory_budget": 1_u64 << 30, "memory_available": 2_u64 << 30,
            "descriptors_free": 900, "folders": []},
        "tasks": [], "totals": {"leased": 0, "completed": 0, "failed": 0, "cancelled": 0, "lost": 0},
        "hour": [], "plugins": [],
    }))
}
