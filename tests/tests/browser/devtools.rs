//! A browser without a window, driven by the DevTools protocol over a pipe: JSON texts with a NUL behind each.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::{Instant, sleep, timeout};

/// What a browser is called on Debian and elsewhere.
const NAMES: [&str; 4] = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];

/// How long one answer, or one state of a page, may take on a loaded machine.
const TIMEOUT: Duration = Duration::from_secs(90);

/// A browser with one page. It ends with this.
pub(crate) struct Browser {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// The page that orders are for.
    session: Option<String>,
    last: u64,
    _home: TempDir,
}

/// The program; none if this machine is said to have none.
pub(crate) fn program() -> Option<PathBuf> {
    match std::env::var("POSEMESH_BROWSER") {
        Ok(name) if name == "none" => return None,
        Ok(name) => return Some(PathBuf::from(name)),
        Err(_) => {}
    }
    let path = std::env::var_os("PATH").expect("PATH");
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let mut places = NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    let found = places.find(|program| program.is_file());
    assert!(
        found.is_some(),
        "there is no browser: `apt-get install chromium-headless-shell`, or set POSEMESH_BROWSER to one, or to `none`"
    );
    found
}

impl Browser {
    /// Starts it, and opens an address.
    pub(crate) async fn open(program: PathBuf, url: &str) -> Self {
        let home = tempfile::tempdir().expect("a folder");
        // Its own sandbox does not start for root, and it is given nothing but this page. It reads orders from descriptor
        // 3, and answers to 4.
        let script = "exec \"$0\" --headless --no-sandbox --disable-gpu --remote-debugging-pipe \
                      --user-data-dir=\"$HOME\" about:blank 3<&0 4>&1 </dev/null >/dev/null";
        let mut child = Command::new("/bin/sh")
            .args(["-c", script])
            .arg(program)
            .env("HOME", home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("a shell");
        let orders = child.stdin.take().expect("a pipe");
        let answers = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut browser = Self { child, orders, answers, session: None, last: 0, _home: home };
        let target = browser.ask("Target.createTarget", json!({"url": url})).await;
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.ask("Target.attachToTarget", attach).await;
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        browser
    }

    /// Gives an order, and waits for its result.
    pub(crate) async fn ask(&mut self, method: &str, params: Value) -> Value {
        let answer = self.exchange(method, params).await;
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// Gives an order, and waits for its answer, an error or a result; events in between are not looked at.
    async fn exchange(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let mut order = json!({"id": self.last, "method": method, "params": params});
        if let Some(session) = &self.session {
            order["sessionId"] = session.as_str().into();
        }
        self.orders.write_all(format!("{order}\0").as_bytes()).await.expect("the browser reads");
        let answer = async {
            loop {
                let mut text = Vec::new();
                self.answers.read_until(0, &mut text).await.expect("the browser answers");
                assert!(!text.is_empty(), "the browser has ended at {method}");
                text.pop();
                let answer: Value = serde_json::from_slice(&text).expect("JSON");
                if answer["id"] == self.last {
                    return answer;
                }
            }
        };
        timeout(TIMEOUT, answer).await.unwrap_or_else(|_| panic!("no answer to {method}"))
    }

    /// The value of an expression in the page, or why it has none: a page that is still loading has no body, and
    /// evaluates nothing while one document takes the place of another.
    async fn evaluate(&mut self, expression: &str) -> Result<Value, Value> {
        let order = json!({"expression": expression, "returnByValue": true});
        let answer = self.exchange("Runtime.evaluate", order).await;
        let result = &answer["result"];
        if answer["error"].is_null() && result["exceptionDetails"].is_null() {
            Ok(result["result"]["value"].clone())
        } else {
            Err(answer)
        }
    }

    /// The value of an expression in the page.
    pub(crate) async fn value(&mut self, expression: &str) -> Value {
        self.evaluate(expression).await.unwrap_or_else(|answer| panic!("{expression}: {answer}"))
    }

    /// Waits until an expression in the page is true.
    pub(crate) async fn until(&mut self, expression: &str) {
        let deadline = Instant::now() + TIMEOUT;
        loop {
            let seen = self.evaluate(expression).await;
            if seen == Ok(Value::Bool(true)) {
                return;
            }
            if Instant::now() >= deadline {
                let page = self.evaluate("document.body?.innerText").await;
                panic!("{expression} is never true: it is {seen:?}, on the page {page:?}");
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Makes the window as wide as this, in a dark or a light room.
    pub(crate) async fn look(&mut self, width: u32, scheme: &str) {
        let metrics = json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600});
        self.ask("Emulation.setDeviceMetricsOverride", metrics).await;
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.ask("Emulation.setEmulatedMedia", features).await;
    }

    /// The whole page as a picture, PNG in base64.
    pub(crate) async fn picture(&mut self) -> String {
        let taken = self.ask("Page.captureScreenshot", json!({"captureBeyondViewport": true})).await;
        taken["data"].as_str().expect("a picture").to_owned()
    }

    /// Ends it.
    pub(crate) async fn close(mut self) {
        self.session = None;
        self.ask("Browser.close", json!({})).await;
        let _ = timeout(TIMEOUT, self.child.wait()).await;
    }
}
