//! Compiled runners are cached: a node that is restarted with fifty of them compiles nothing.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use posemesh_devnet::{Devnet, DevnetConfig};
use posemesh_tests::by_hand::{Parts, runner};
use posemesh_tests::{NodeProcess, plugin, variables};

const RUNNERS: usize = 50;

#[tokio::test]
async fn fifty_runners_are_compiled_once_and_a_changed_cache_is_not_used() {
    let devnet = Devnet::start(DevnetConfig::default()).await.expect("a devnet");
    let plugins = tempfile::tempdir().expect("a folder");
    // As much code as in a real runner, and different code in each.
    let pointcloud = std::fs::read(plugin("pointcloud")).expect("a runner");
    std::fs::write(plugins.path().join("pointcloud.wasm"), pointcloud).expect("written");
    for n in 1..RUNNERS {
        let name = format!("runner-{n}");
        let code = format!("(func (result i32) (i32.const {n}))").repeat(500);
        let bytes = runner(&name, &Parts { fields: &code, ..Parts::default() });
        std::fs::write(plugins.path().join(format!("{name}.wasm")), bytes).expect("written");
    }
    let work = tempfile::tempdir().expect("a folder");
    let variables = variables(&devnet, plugins.path(), work.path());

    let (cold, compiled) = start(&variables).await;
    assert_eq!(compiled, RUNNERS, "an empty cache has nothing");
    let (warm, compiled) = start(&variables).await;
    assert_eq!(compiled, 0, "everything is there");
    eprintln!("{RUNNERS} runners: {cold:.2?} without a cache, {warm:.2?} with it");

    // One file was changed and another truncated: both are detected and compiled again.
    let mut files: Vec<_> = std::fs::read_dir(work.path().join("cache"))
        .expect("the cache")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "cwasm"))
        .collect();
    files.sort();
    assert_eq!(files.len(), RUNNERS);
    let mut bytes = std::fs::read(&files[0]).expect("read");
    *bytes.last_mut().expect("not empty") ^= 1;
    std::fs::write(&files[0], bytes).expect("changed");
    std::fs::File::options().write(true).open(&files[1]).and_then(|file| file.set_len(1000)).expect("cut");
    let (_, compiled) = start(&variables).await;
    assert_eq!(compiled, 2, "what was changed is never loaded");

    // The code of one runner under the name of another, each whole and of this node's making.
    let aside = work.path().join("aside");
    for (from, to) in [(&files[2], &aside), (&files[3], &files[2]), (&aside, &files[3])] {
        std::fs::rename(from, to).expect("swapped");
    }
    let (_, compiled) = start(&variables).await;
    assert_eq!(compiled, 2, "code is bound to its component");
    // Others could write to the folder: nothing in it is believed.
    let mode = |mode| std::fs::set_permissions(work.path().join("cache"), PermissionsExt::from_mode(mode));
    mode(0o777).expect("opened");
    let (_, compiled) = start(&variables).await;
    assert_eq!(compiled, RUNNERS, "somebody may have put it there");
    let (_, compiled) = start(&variables).await;
    assert_eq!(compiled, 0, "the folder was closed");
    // Others can put another folder in its place.
    std::fs::set_permissions(work.path(), PermissionsExt::from_mode(0o777)).expect("opened");
    let (_, compiled) = start(&variables).await;
    assert_eq!(compiled, RUNNERS, "the way to it is open");
    devnet.shutdown().await;
}

/// Starts a node; returns the time until it takes leases, and the number of components that it compiled.
async fn start(variables: &std::collections::BTreeMap<String, String>) -> (Duration, usize) {
    let began = Instant::now();
    let mut node = NodeProcess::run(variables);
    node.wait_for_log("the worker takes leases").await;
    let took = began.elapsed();
    // Those that take long to be loaded are not waited for.
    while node.log().lines().filter(|line| line.contains("runner live")).count() < RUNNERS {
        assert!(began.elapsed() < posemesh_tests::TIMEOUT, "{}", node.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(node.terminate().await, 0);
    let log = node.log();
    let live = log.lines().filter(|line| line.contains("runner live")).count();
    assert_eq!(live, RUNNERS, "{log}");
    (took, log.lines().filter(|line| line.contains("component compiled")).count())
}
