//! The operator's policy of today holds for every version of a runner that is kept.

use std::time::Duration;

use posemesh_plugin_host::registry::Scan;
use posemesh_runner_api::failure::FailureKind;
use posemesh_tests::versions::{Does, put, versioned};

use crate::by_hand::{Folder, live, refusal, scan, task, view};
use crate::watched::{Watched, run_task};

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_brings_back_yesterdays_code_and_no_grant_that_was_withdrawn() {
    let watched = Watched::start().await;
    put(watched.dir.path(), "swap.toml", b"[limits]\ndeadline_ms = 60000\n");
    put(watched.dir.path(), "swap.wasm", &versioned(1_000_001, Does::Work, 0));
    watched.until_live("swap", "1.0.1000001").await;
    put(watched.dir.path(), "swap.wasm", &versioned(1_000_002, Does::Work, 0));
    let number = watched.until_live("swap", "1.0.1000002").await.generations[0].number;
    put(watched.dir.path(), "swap.toml", b"[limits]\ndeadline_ms = 50\n");
    watched
        .until("swap", "got its policy", |view| view.is_some_and(|view| view.generations[0].number > number))
        .await;
    let now =
        watched.registry.roll_back("swap").expect("another policy leaves the previous version where it is");
    assert!(now.contains("1.0.1000001"), "{now}");
    let runner = watched.pick(0).expect("live");
    let failed = run_task(runner.as_ref(), Duration::from_secs(60)).await.expect_err("it has 50 ms");
    assert!(failed.contains("`deadline_ms` of 50"), "{failed}");
    // And a change of the policy after the rollback does not undo it.
    put(watched.dir.path(), "swap.toml", b"[limits]\ndeadline_ms = 51\n");
    watched.registry.scan(Scan::Now).await.expect("a look");
    let runner = watched.pick(0).expect("live");
    assert!(runner.label().contains("1.0.1000001"), "{}", runner.label());
    let failed = run_task(runner.as_ref(), Duration::from_secs(60)).await.expect_err("it has 51 ms");
    assert!(failed.contains("`deadline_ms` of 51"), "{failed}");
    watched.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_withdrawn_is_gone_though_the_rest_can_not_be_followed() {
    let folder = Folder::new();
    let granted = "inputs = \"domain\"\n";
    folder.policy("swap", granted);
    folder.put("swap", "swap", 1);
    let registry = folder.registry().await;
    scan(&registry).await;
    let shown = || live(&registry, "swap").map(|live| live.granted);
    assert_eq!(shown(), Some(vec!["any data of its domain: reads".to_owned()]));
    // A folder that no runner may have comes with what is withdrawn.
    folder.policy("swap", "[directories]\nall = \"/proc\"\n");
    scan(&registry).await;
    assert!(refusal(&registry, "swap").contains("[directories] all"), "{}", refusal(&registry, "swap"));
    assert_eq!(shown(), Some(Vec::new()));
    folder.policy("swap", granted);
    scan(&registry).await;
    assert_eq!(shown().map(|granted| granted.len()), Some(1));
    // In the place of the component lies what is not opened.
    folder.remove("swap.wasm");
    let made = std::process::Command::new("mkfifo").arg(folder.path("swap.wasm")).status().expect("mkfifo");
    assert!(made.success());
    folder.policy("swap", "priority = 3\n");
    scan(&registry).await;
    assert!(refusal(&registry, "swap").contains("FIFO"), "{}", refusal(&registry, "swap"));
    assert_eq!(shown(), Some(Vec::new()));
    folder.policy("swap", "enabled = false\n");
    scan(&registry).await;
    assert_eq!(shown(), None, "it is left out");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_policy_for_the_same_code_needs_no_trial() {
    let folder = Folder::new();
    folder.policy("swap", "[canary]\nshare = 0.5\n");
    folder.put("swap", "swap", 1);
    let registry = folder.registry().await;
    scan(&registry).await;
    folder.policy("swap", "priority = 7\ninputs = \"domain\"\n[canary]\nshare = 0.5\n");
    scan(&registry).await;
    assert_eq!(live(&registry, "swap").map(|live| (live.priority, live.number)), Some((7, 2)));
    let seen = view(&registry, "swap");
    assert_eq!(seen.generations.len(), 1, "nothing is on trial, nothing to go back to");
    assert_eq!(seen.generations[0].granted, ["any data of its domain: reads"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_that_calls_every_input_invalid_is_taken_back() {
    let folder = Folder::new();
    folder.policy("swap", "[canary]\nshare = 0.5\n");
    folder.put("swap", "swap", 1);
    let registry = folder.registry().await;
    scan(&registry).await;
    let first = live(&registry, "swap").expect("live").sha256;
    folder.put_refusing("swap", "swap", 2);
    scan(&registry).await;
    let mut refused = 0;
    for _ in 0..40 {
        match task(&registry, "swap").await {
            Some(FailureKind::InvalidInput) => refused += 1,
            Some(kind) => panic!("{kind}"),
            None => {}
        }
    }
    assert_eq!(refused, 5, "until it can't be chance");
    assert_eq!(live(&registry, "swap").map(|live| live.sha256), Some(first));
    let reason = crate::by_hand::refusal(&registry, "swap");
    assert!(reason.contains("called 5 of 5 tasks or inputs wrong"), "{reason}");
}
