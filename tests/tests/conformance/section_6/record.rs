//! The record of a task's data in the status API: the same as DMS receives, with hashes.

use posemesh_tests::guests::COPY;
use posemesh_tests::{Scene, http_client};
use serde_json::Value;

use crate::section_6::copying::{Copying, bytes};

#[tokio::test]
async fn s6_bytes_and_hashes_are_in_the_record_of_the_task() {
    let scene = Scene::new().await.serving(COPY).set("STATUS_ADDR", "127.0.0.1:0");
    let copying = Copying::on(scene).await;
    let addr = copying.node.status_addr().await;
    let input = bytes(3000);
    let copied = copying.copy(&input, None).await;
    copied.assert_is(&input, &copying.node);

    let client = http_client();
    let get = async |path: String| {
        let response = client.get(format!("http://{addr}{path}")).send().await.expect("an answer");
        response.text().await.expect("a body")
    };
    let task: Value =
        serde_json::from_str(&get(format!("/api/tasks/{}", copied.task.id)).await).expect("JSON");
    let traffic = &task["traffic"];
    let [read, stored] = ["inputs", "artifacts"].map(|what| {
        assert_eq!(traffic[what]["count"], 1, "{task:#}");
        traffic[what]["first"][0].clone()
    });
    assert_eq!((&read["size"], &stored["size"]), (&3000.into(), &3000.into()));
    assert_eq!(read["sha256"], stored["sha256"], "the same bytes");
    assert_eq!(read["sha256"].as_str().map(str::len), Some(64));
    let log = copying.node.log();
    assert!(log.matches(read["sha256"].as_str().expect("text")).count() >= 2, "in the log, both ways: {log}");
    let moved = |name: &str| traffic[name].as_u64().expect("a number");
    assert!(moved("bytes_in") > 3000 && moved("bytes_out") > 3000, "{traffic}");
    let metrics = get("/metrics".to_owned()).await;
    let counted =
        metrics.lines().any(|line| line.contains("domain_received_bytes_total") && !line.ends_with(" 0"));
    assert!(counted, "{metrics}");
}
