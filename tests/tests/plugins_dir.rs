//! What lies in `PLUGINS_DIR`: whatever it is, the runners beside it are loaded, and the reason is shown.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use posemesh_plugin_host::load::{LoadStage, Loader, LoaderSettings, RunnerEngine};
use posemesh_plugin_host::registry::{GenerationView, Registry, RegistrySettings, RunnerView, Scan};
use posemesh_tests::by_hand::{Parts, runner};
use tempfile::TempDir;

/// How long a scan may take on a loaded machine; one that waits for a FIFO never ends.
const TIMEOUT: Duration = Duration::from_secs(120);

struct Plugins {
    dir: TempDir,
    registry: Registry,
}

impl Plugins {
    /// A registry on an empty folder. Its components are ours, so they are compiled in this process.
    async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let mut settings = LoaderSettings::default();
        settings = settings.in_this_process();
        let engine = RunnerEngine::new().expect("wasmtime");
        let loader = Arc::new(Loader::open(engine, settings).await.expect("a loader"));
        let registry = Registry::new(loader, RegistrySettings::new(dir.path()));
        Self { dir, registry }
    }

    fn put(&self, name: &str, parts: &Parts<'_>) {
        fs::write(self.path(&format!("{name}.wasm")), runner(name, parts)).expect("a component");
    }

    fn path(&self, file: &str) -> std::path::PathBuf {
        self.dir.path().join(file)
    }

    async fn scan(&self, scan: Scan) {
        let scanned = tokio::time::timeout(TIMEOUT, self.registry.scan(scan)).await;
        scanned.expect("nothing holds the scan up").expect("the folder can be read");
    }

    fn view(&self, name: &str) -> RunnerView {
        let view = self.registry.view().into_iter().find(|view| view.name == name);
        view.unwrap_or_else(|| panic!("{name} is not shown"))
    }

    /// The digest of the live generation's file.
    fn live(&self, name: &str) -> Option<String> {
        let live = |generation: &GenerationView| generation.stage == LoadStage::Live;
        Some(self.view(name).generations.into_iter().find(live)?.sha256)
    }

    fn is_live(&self, name: &str) -> bool {
        self.live(name).is_some()
    }

    fn refusal(&self, name: &str) -> String {
        self.view(name).refused.unwrap_or_else(|| panic!("{name} is not refused")).reason
    }
}

fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo runs").success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_regular_files_are_opened_and_the_others_hold_nobody_up() {
    let plugins = Plugins::new().await;
    for good in ["a_first", "z_last"] {
        plugins.put(good, &Parts::default());
    }
    fs::rename(plugins.path("z_last.wasm"), plugins.path("elsewhere")).expect("a file");
    symlink(plugins.path("elsewhere"), plugins.path("z_last.wasm")).expect("a link");
    fifo(&plugins.path("fifo.wasm"));
    fifo(&plugins.path("policy_fifo.toml"));
    for name in ["policy_fifo", "policy_huge", "policy_link"] {
        plugins.put(name, &Parts::default());
    }
    fs::File::create(plugins.path("policy_huge.toml"))
        .and_then(|file| file.set_len(10 << 30))
        .expect("a file");
    symlink("/nowhere", plugins.path("policy_link.toml")).expect("a link");
    let _socket = UnixListener::bind(plugins.path("socket.wasm")).expect("a socket");
    symlink("/dev/zero", plugins.path("device.wasm")).expect("a link");
    symlink(plugins.path("loop.wasm"), plugins.path("loop.wasm")).expect("a link");
    symlink("/nowhere", plugins.path("dangling.wasm")).expect("a link");
    fs::create_dir(plugins.path("folder.wasm")).expect("a folder");
    fs::File::create(plugins.path("huge.wasm")).and_then(|file| file.set_len(10 << 30)).expect("a file");
    plugins.scan(Scan::Now).await;
    for good in ["a_first", "z_last"] {
        assert!(plugins.is_live(good), "{good}: a link to a regular file is one as well");
    }
    for (name, want) in [
        ("fifo", "it is a FIFO, not a regular file"),
        ("policy_fifo", "it is a FIFO, not a regular file"),
        ("policy_huge", "more than 65536 bytes"),
        ("policy_link", "policy_link.toml"),
        ("socket", "it is a socket"),
        ("device", "it is a device"),
        ("loop", "symbolic links"),
        ("dangling", "a link to nothing"),
        ("folder", "it is a folder"),
        ("huge", "MAX_COMPONENT_BYTES"),
    ] {
        let reason = plugins.refusal(name);
        assert!(reason.contains(want), "{name}: {reason}");
    }
    // What took the place of a live runner's file: it goes on.
    fs::remove_file(plugins.path("a_first.wasm")).expect("a file");
    fifo(&plugins.path("a_first.wasm"));
    plugins.scan(Scan::Careful).await;
    plugins.scan(Scan::Careful).await;
    assert!(plugins.is_live("a_first") && plugins.refusal("a_first").contains("a FIFO"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_with_the_old_time_and_size_is_loaded() {
    let plugins = Plugins::new().await;
    let bytes = runner("swapped", &Parts::default());
    let (path, newer) = (plugins.path("swapped.wasm"), plugins.path("newer"));
    fs::write(&path, &bytes).expect("a component");
    let version = bytes.windows(5).position(|window| window == b"0.1.0").expect("a version");
    let mut other = bytes.clone();
    other[version + 4] = b'7';
    fs::write(&newer, other).expect("a component");
    let time = fs::metadata(&path).and_then(|file| file.modified()).expect("a time");
    fs::File::options().append(true).open(&newer).and_then(|file| file.set_modified(time)).expect("a time");
    plugins.scan(Scan::Now).await;
    let before = plugins.live("swapped").expect("it is live");
    assert!(Command::new("cp").arg("-p").args([&newer, &path]).status().expect("cp runs").success());
    // Once to see it, once to see that it has come to rest.
    plugins.scan(Scan::Careful).await;
    plugins.scan(Scan::Careful).await;
    let after = plugins.live("swapped").expect("it is live");
    assert_ne!(before, after, "the size, the time and the number of the file are the same");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_operator_grants_holds_for_describe_too() {
    let plugins = Plugins::new().await;
    let instances = "(core instance (instantiate $empty))".repeat(100);
    let before = format!("(core module $empty (memory 0)) {instances}");
    plugins.put("hundred", &Parts { before: &before, ..Parts::default() });
    plugins.put("large", &Parts { fields: "(memory $large 12800)", ..Parts::default() });
    plugins.scan(Scan::Now).await;
    let reason = plugins.refusal("hundred");
    assert!(reason.contains("instances of 64") && reason.contains("NAME.toml, [limits]"), "{reason}");
    let reason = plugins.refusal("large");
    assert!(reason.contains("memory_bytes of 512MiB"), "{reason}");
    fs::write(plugins.path("hundred.toml"), "[limits]\ninstances = 200\n").expect("a policy");
    fs::write(plugins.path("large.toml"), "[limits]\nmemory_bytes = 1000000000\n").expect("a policy");
    plugins.scan(Scan::Now).await;
    assert!(plugins.is_live("hundred") && plugins.is_live("large"), "{:?}", plugins.registry.view());
}
