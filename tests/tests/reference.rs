//! The published reference node works against the devnet: it registers, logs in by SIWE, leases,
//! downloads, uploads and completes. This shows that the devnet behaves like the real servers.

use std::time::Duration;

use posemesh_devnet::{Devnet, DevnetConfig, TaskStatus};
use posemesh_tests::{NodeProcess, reference_binary, variables};
use serde_json::{Value, json};
use uuid::Uuid;

#[tokio::test]
async fn the_reference_node_does_a_task_on_the_devnet() {
    let config = DevnetConfig {
        // It reads its token once per request and does not repeat a request that a rotation has overtaken.
        task_token_overlap: Duration::from_secs(10),
        ..DevnetConfig::default()
    };
    let devnet = Devnet::start(config).await.expect("a devnet");
    let work = tempfile::tempdir().expect("a folder");
    let variables = variables(&devnet, work.path(), work.path());
    let node = NodeProcess::start(&reference_binary(), &[], &variables);

    let bytes: Vec<u8> = (0..3_000_000u32).map(|n| (n * 7 % 251) as u8).collect();
    let data = devnet.put_data("scan", "bin", bytes.clone()).await.expect("stored");
    let job = devnet
        .submit_job(json!({"label": "reference", "tasks": [{
            "label": "copy", "stage": "copy", "capability": "/posemesh/reference/v1",
            "inputs_cids": [devnet.data_url(data)], "outputs_prefix": "out",
        }]}))
        .expect("a job");
    let ended = devnet.wait_for_task_end(job.tasks[0], Duration::from_secs(120)).await;
    let ended = ended.unwrap_or_else(|error| panic!("{error}; the node printed:\n{}", node.log()));
    assert_eq!(ended.status, TaskStatus::Completed, "{:?}\n{}", ended.failures, node.log());
    assert_eq!(ended.completions.len(), 1);

    let artifacts =
        ended.completions[0].pointer("/meta/artifacts").and_then(Value::as_array).expect("artifacts");
    let copy = artifacts.iter().find(|entry| entry["logical_path"] == "out/copy.bin").expect("copy.bin");
    let id: Uuid = copy["id"].as_str().expect("an id").parse().expect("a uuid");
    assert_eq!(devnet.read_data(id).await.expect("stored"), bytes, "copied byte for byte");
    assert!(artifacts.iter().any(|entry| entry["logical_path"] == "out/report.json"), "{artifacts:?}");

    assert_eq!(devnet.registrations().len(), 1);
    assert_eq!(devnet.registrations()[0].capabilities, ["/posemesh/reference/v1"]);
    assert!(!devnet.logins().is_empty(), "it logged in by SIWE");
    assert!(devnet.heartbeats(ended.id).len() >= 3, "initial, primed, final");
    drop(node);
    devnet.shutdown().await;
}
