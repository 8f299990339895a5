//! What a process that was taken over says is taken for what a stranger says: a lie ends the process, its tasks have the
//! reason, the next one gets a new process, and the node has lost nothing by it.

use std::time::{Duration, Instant};

use posemesh_runner_api::failure::{Blame, FailureKind, RunFailure};
use posemesh_tests::TIMEOUT;
use serde_json::{Value, json};

use crate::taken_over::TakenOver;
use crate::{alone, beside_others};

/// The lies, and what the failure says of each.
const LIES: &[(&str, &str)] = &[
    ("no JSON", "broke the protocol"),
    ("no frame", "broke the protocol"),
    ("an unknown word", "broke the protocol"),
    ("a frame without end", "more than 4194304 bytes"),
    ("a huge frame that is no report", "is no report"),
    ("a frame in a file", "unknown kind"),
    ("nothing at all", "closed its channel and went on"),
    ("a channel that is closed", "closed its channel and went on"),
    ("described again", "without being asked"),
    ("something that is not open", "not opened"),
    ("a slot that is none", "slot 4000000000"),
    ("a length that is none", "4000000000 bytes"),
    ("writes of nothing", "writes 0 bytes"),
    ("a slot to read into that is none", "slot 4000000000"),
    ("one slot for all", "for two asks at a time"),
    ("one number for all", "alike"),
    ("asks without end", "without waiting for answers"),
    ("a CID without end", "no guest may name"),
    ("a path without end", "no guest may name"),
    ("a name without end", "no guest may name"),
    ("a request without end", "no guest may name"),
    ("a report that nobody can read", "reports not JSON"),
    ("a line without end", "lines that are too long"),
    ("asks of what has failed", "without waiting for answers"),
    ("inputs without end", "inputs, artifacts and requests open"),
    ("artifacts without end", "more artifacts than it may"),
    ("output without end", "more bytes than it may"),
    ("a huge report", "reports more than it may"),
    ("requests", "was not granted"),
    ("abort", "SIGABRT"),
    ("crash", "SIGSEGV"),
];

/// A status line of this process, in KiB or as a number.
fn status(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("a status");
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}"));
    line.split_whitespace().nth(1).and_then(|value| value.parse().ok()).expect("a number")
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("descriptors").count()
}

/// Waits until this process has no more than so many descriptors: processes that were ended give theirs back later.
async fn given_back(most: usize) {
    let begun = Instant::now();
    while descriptors() > most {
        assert!(begun.elapsed() < TIMEOUT, "{} descriptors, more than {most}", descriptors());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn attack(attacker: &TakenOver, how: &str) -> RunFailure {
    let meta = json!({"attack": how, "uri": "http://127.0.0.1:1/"});
    attacker.run(meta).await.expect_err(how)
}

const POLICY: &str =
    "[limits]\nartifacts = 3\noutput_bytes = 10485760\nhttp_bytes = 0\nreport_bytes = 20000\n";

#[tokio::test(flavor = "multi_thread")]
async fn lies_end_the_process_and_nothing_else() {
    let _alone = alone().await;
    let attacker = TakenOver::load(POLICY).await;
    let honest = attack(&attacker, "nothing").await;
    assert_eq!(honest.kind, FailureKind::RunnerError, "{honest:?}");
    let (memory, open) = (status("VmRSS"), descriptors());
    for (lie, want) in LIES {
        let failure = attack(&attacker, lie).await;
        assert_eq!(
            (failure.kind, failure.blame),
            (FailureKind::Crashed, Blame::Runner),
            "{lie}: {failure:?}"
        );
        assert!(failure.reason.contains(want), "{lie}: {want:?} is not in {:?}", failure.reason);
        assert_eq!(failure.details["runner"], "noop 1.0.0 #1", "{lie}");
        let next = attack(&attacker, "nothing").await;
        assert_eq!(
            next.details,
            json!({"unknown": "nothing"}),
            "the task after {lie} has a process: {next:?}"
        );
    }
    assert!(status("VmRSS") < memory + (96 << 10), "{} KiB, and {memory} before", status("VmRSS"));
    given_back(open + 8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_too_much_is_bounded() {
    let _alone = alone().await;
    let attacker = TakenOver::load("[limits]\nlog_bytes = 10000\n").await;
    attack(&attacker, "nothing").await;
    let (memory, open) = (status("VmRSS"), descriptors());
    for flood in ["descriptors", "lines without end", "another's call", "dropped without end"] {
        let failure = attack(&attacker, flood).await;
        assert_eq!(failure.kind, FailureKind::RunnerError, "{flood}: {failure:?}");
    }
    let huge = attack(&attacker, "a huge reason").await;
    assert!(huge.reason.len() <= (8 << 10) + 3 && !huge.reason.contains('\n'), "{} bytes", huge.reason.len());
    assert_eq!((huge.kind, huge.blame), (FailureKind::Trap, Blame::Runner), "no server has failed");
    assert!(status("VmRSS") < memory + (64 << 10), "{} KiB, and {memory} before", status("VmRSS"));
    given_back(open + 16).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_says_nothing_or_talks_without_end_is_ended_after_its_deadline() {
    let _shared = beside_others().await;
    let attacker = TakenOver::load("[limits]\ndeadline_ms = 500\n").await;
    for how in ["silence", "talk without end"] {
        let failure = attack(&attacker, how).await;
        assert_eq!(failure.kind, FailureKind::Crashed, "{failure:?}");
        assert!(failure.reason.contains("did not end when it had to"), "{}", failure.reason);
    }
    assert_eq!(attack(&attacker, "nothing").await.details["unknown"], Value::from("nothing"));
}
