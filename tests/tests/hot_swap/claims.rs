//! Who serves a capability, also after a restart.

use std::fs;

use crate::by_hand::{Folder, live, refusal, scan, server, view};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_runner_that_served_a_capability_keeps_it_over_a_restart() {
    let folder = Folder::new();
    folder.put("zeta", "shared", 1);
    let first = folder.registry().await;
    scan(&first).await;
    assert_eq!(server(&first, "shared").as_deref(), Some("zeta"));
    drop(first);
    // Its name comes first, and it is there before the node is.
    folder.put("alpha", "shared", 2);
    let second = folder.registry().await;
    scan(&second).await;
    assert_eq!(server(&second, "shared").as_deref(), Some("zeta"));
    assert!(refusal(&second, "alpha").contains("zeta"), "{}", refusal(&second, "alpha"));
    drop(second);
    // Not even if the one that served it can't be loaded.
    fs::write(folder.path("zeta.wasm"), "broken").expect("written");
    let third = folder.registry().await;
    scan(&third).await;
    assert_eq!(server(&third, "shared"), None);
    let reason = refusal(&third, "alpha");
    assert!(reason.contains("which zeta served before") && reason.contains("can't be loaded"), "{reason}");
    // The operator decides: by a priority, or by removing it.
    folder.policy("alpha", "priority = 1\n");
    scan(&third).await;
    assert_eq!(server(&third, "shared").as_deref(), Some("alpha"));
    drop(third);
    folder.remove("alpha.toml");
    folder.put("zeta", "shared", 1);
    let fourth = folder.registry().await;
    scan(&fourth).await;
    assert_eq!(server(&fourth, "shared").as_deref(), Some("alpha"), "it is the one that served it now");
    folder.remove("alpha.wasm");
    scan(&fourth).await;
    assert_eq!(server(&fourth, "shared").as_deref(), Some("zeta"), "who has left has no claim");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_memory_that_is_broken_or_open_to_others_is_as_good_as_none() {
    let folder = Folder::new();
    folder.put("zeta", "shared", 1);
    let first = folder.registry().await;
    scan(&first).await;
    drop(first);
    folder.put("alpha", "shared", 2);
    for damage in ["{\"node\": 5", ""] {
        fs::write(folder.path("memory.json"), damage).expect("written");
        let registry = folder.registry().await;
        scan(&registry).await;
        assert_eq!(
            server(&registry, "shared").as_deref(),
            Some("alpha"),
            "of two newcomers the first by name"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_names_what_a_runner_may_serve() {
    let folder = Folder::new();
    folder.put("thief", "shared", 1);
    folder.policy("thief", "capabilities = [\"/posemesh/test/own/v1\"]\n");
    folder.put("zeta", "shared", 2);
    let registry = folder.registry().await;
    scan(&registry).await;
    assert_eq!(server(&registry, "shared").as_deref(), Some("zeta"));
    let thief = live(&registry, "thief").expect("it is live and serves nothing");
    assert_eq!(view(&registry, "thief").serves, [""; 0]);
    let not_granted = thief.not_granted.join("; ");
    assert!(not_granted.contains("capability /posemesh/test/shared/v1"), "{not_granted}");
    folder.policy("thief", "capabilities = [\"no slash\"]\n");
    scan(&registry).await;
    assert!(refusal(&registry, "thief").contains("starts with /"), "{}", refusal(&registry, "thief"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_bytes_that_describe_themselves_otherwise_are_refused() {
    let folder = Folder::new();
    folder.put("zeta", "shared", 1);
    let first = folder.registry().await;
    scan(&first).await;
    let digest = live(&first, "zeta").expect("live").sha256;
    drop(first);
    // What it said the last time was something else.
    let text = fs::read_to_string(folder.path("memory.json")).expect("written");
    let mut memory: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    memory["descriptions"][&digest]["sha256"] = "0".repeat(64).into();
    fs::write(folder.path("memory.json"), memory.to_string()).expect("written");
    let second = folder.registry().await;
    scan(&second).await;
    let reason = refusal(&second, "zeta");
    assert!(reason.contains("describes itself otherwise") && live(&second, "zeta").is_none(), "{reason}");
    folder.put("zeta", "shared", 2);
    scan(&second).await;
    assert_eq!(server(&second, "shared").as_deref(), Some("zeta"), "other bytes may say something else");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_that_has_passed_its_trial_takes_no_capability_from_another() {
    let folder = Folder::new();
    folder.policy("swap", "[canary]\nshare = 1.0\ntasks = 1\n");
    folder.put("swap", "first", 1);
    let registry = folder.registry().await;
    scan(&registry).await;
    // The canary gives `first` up for `second`, which nobody serves yet: alone with its claim when it comes.
    folder.put("swap", "second", 2);
    scan(&registry).await;
    assert_eq!(view(&registry, "swap").generations.len(), 2, "a canary");
    folder.put("other", "second", 3);
    scan(&registry).await;
    assert_eq!(server(&registry, "second").as_deref(), Some("other"));
    // It can get no task, so that its trial never ends in its favour; a rollback, the other way to be live, asks as well.
    folder.remove("swap.toml");
    scan(&registry).await;
    assert_eq!(server(&registry, "second").as_deref(), Some("other"));
    let reason = refusal(&registry, "swap");
    assert!(reason.contains("swap claims /posemesh/test/second/v1, which other serves"), "{reason}");
}
