//! The status page in a real browser: Chromium without a window, which `cargo xtask test` installs on Debian. Another one is
//! named by `POSEMESH_BROWSER`; `none` says that there is none. With `POSEMESH_SCREENSHOTS=FOLDER` it leaves pictures there.

mod devtools;

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use posemesh_tests::{NodeProcess, Scene, TIMEOUT, http_client};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use devtools::{Browser, program};

async fn until_state(addr: &str, is_so: impl Fn(&Value) -> bool, node: &NodeProcess) {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let answer = http_client().get(format!("http://{addr}/api/status")).send().await.expect("an answer");
        let status: Value = serde_json::from_str(&answer.text().await.expect("a body")).expect("JSON");
        if is_so(&status) {
            return;
        }
        assert!(Instant::now() < deadline, "{status}: {}", node.log());
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn the_page_shows_the_node_follows_it_and_obeys_nobody() {
    let Some(program) = program() else {
        eprintln!("not run: POSEMESH_BROWSER=none");
        return;
    };
    let scene = Scene::new().await.set("STATUS_ADDR", "127.0.0.1:0").set("MAX_CONCURRENCY", 2);
    // A name that would be markup if it were taken for it.
    let evil = "<b>evil<img src=x onerror=document.title='evil'>";
    std::fs::write(scene.plugins().join(format!("{evil}.wasm")), "no").expect("written");
    let mut node = scene.node();
    let addr = node.status_addr().await;
    let task = scene.submit_noop(Duration::from_millis(20));
    scene.wait_for_end(task, &node).await;
    let is_ready = |status: &Value| status["state"] == "ready" && status["totals"]["completed"] == 1;
    until_state(&addr, is_ready, &node).await;

    let mut browser = Browser::open(program, &format!("http://{addr}/")).await;
    browser.until("document.getElementById('state')?.textContent === 'READY'").await;
    browser.until("document.title.startsWith('READY')").await;
    let text = browser.value("document.body.innerText").await;
    let text = text.as_str().expect("a text");
    for part in
        ["1 completed, 0 failed, 0 lost", evil, "noop 0.1.0 #", "/posemesh/noop/v1", &task.to_string()[..8]]
    {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    assert_eq!(browser.value("document.querySelectorAll('img, b').length").await, 0, "names are no markup");
    assert_eq!(
        browser.value("document.querySelectorAll('svg rect').length").await,
        5,
        "a minute in two plots"
    );

    // It follows without being loaded again.
    let running = scene.submit_noop(Duration::from_secs(600));
    let shown = format!("document.getElementById('now').innerText.includes('{}')", &running.to_string()[..8]);
    browser.until(&shown).await;

    for (name, width, scheme) in [("light", 1100, "light"), ("dark", 1100, "dark"), ("phone", 390, "light")] {
        browser.look(width, scheme).await;
        let background = "getComputedStyle(document.body).backgroundColor";
        let want = if scheme == "dark" { "rgb(15, 19, 24)" } else { "rgb(246, 247, 249)" };
        assert_eq!(browser.value(background).await, want, "{name}");
        let is_wide = "document.documentElement.scrollWidth > window.innerWidth";
        assert_eq!(browser.value(is_wide).await, false, "{name}: nothing is cut off");
        let picture = STANDARD.decode(browser.picture().await).expect("base64");
        assert!(picture.starts_with(b"\x89PNG"), "{name}");
        if let Some(folder) = std::env::var_os("POSEMESH_SCREENSHOTS") {
            std::fs::write(Path::new(&folder).join(format!("status-{name}.png")), picture).expect("written");
        }
    }

    node.kill().await;
    browser.until("document.getElementById('foot').textContent.includes('does not answer')").await;
    browser.close().await;
}
