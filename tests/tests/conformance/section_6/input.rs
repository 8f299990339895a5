//! 6.2 to 6.5: several parts, filters, offsets and files.

use posemesh_devnet::{DevnetConfig, Endpoint, TaskStatus};
use posemesh_tests::Scene;
use posemesh_tests::guests::PORTS;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::section_6::copying::{Copying, bytes};

#[tokio::test]
async fn s6_2_the_parts_of_a_cid_come_in_order_from_one_download() {
    let copying = Copying::new().await;
    let devnet = &copying.scene.devnet;
    let mut ids = Vec::new();
    let sizes = [3000, 0, 100_000, 1];
    for (at, size) in sizes.into_iter().enumerate() {
        ids.push(devnet.put_data(&format!("part-{at}"), "bin", bytes(size)).await.expect("an input"));
    }
    let list = ids.iter().map(Uuid::to_string).collect::<Vec<_>>().join(",");
    let cid = format!("/api/v1/domains/{}/data?ids={list}", devnet.domain_id());
    let copied = copying.copy_of(&cid, None).await;
    assert_eq!(copied.task.status, TaskStatus::Completed, "{}", copying.node.log());
    assert_eq!(copied.count(Endpoint::DownloadData), 1);
    let stored: Vec<&[u8]> = copied.stored.iter().map(|(_, bytes)| bytes.as_slice()).collect();
    assert_eq!(stored, sizes.map(bytes));

    // Protocol 3.5: in the order in which they were finished, each with its id.
    let complete = &copied.task.completions[0];
    let wanted: Vec<Value> = (copied.stored.iter().enumerate())
        .map(|(at, (item, _))| {
            json!({"logical_path": format!("0-{at}.bin"), "name": item.name, "data_type": "bin_data",
                   "id": item.id})
        })
        .collect();
    assert_eq!(complete["meta"]["artifacts"], json!(wanted));
    let ids: Vec<Uuid> = copied.stored.iter().map(|(item, _)| item.id).collect();
    assert_eq!(complete["output_cids"], json!(ids));
}

#[tokio::test]
async fn s6_4_names_and_types_select_what_equals_them() {
    let copying = Copying::new().await;
    let devnet = &copying.scene.devnet;
    for (name, kind, size) in [("scän, 1: more", "bin", 10), ("scän, 1", "bin", 20), ("scän", "ply", 30)] {
        devnet.put_data(name, kind, bytes(size)).await.expect("an input");
    }
    let base = format!("{}/api/v1/domains/{}/data", devnet.domain_server_url(), devnet.domain_id());
    for (query, sizes) in [
        ("name=sc%C3%A4n%2C+1", vec![20]),
        ("name=sc%C3%A4n%2C%201:+more&name=other", vec![10]),
        ("data_type=bin&ignored=x", vec![10, 20]),
        ("name=scän&data_type=ply", vec![30]),
    ] {
        let copied = copying.copy_of(&format!("{base}?{query}"), None).await;
        let stored: Vec<usize> = copied.stored.iter().map(|(_, bytes)| bytes.len()).collect();
        assert_eq!(stored, sizes, "{query}\n{}", copying.node.log());
        // The artifacts are in the same domain: the next query must not match them.
        for (item, _) in &copied.stored {
            assert_eq!(item.data_type, "bin_data");
        }
    }
    let copied = copying.copy_of(&format!("{base}?name=sc"), None).await;
    copied.assert_failed(&["no such data"], &copying.node);
}

#[tokio::test]
async fn s6_5_an_input_is_read_at_offsets_and_as_a_file() {
    let copying = Copying::on(Scene::with(DevnetConfig::default()).await.serving(PORTS)).await;
    let devnet = &copying.scene.devnet;
    let name = "..2026-01-02_03-04-05 scän";
    let id = devnet.put_data(name, "p.ly", bytes(3000)).await.expect("an input");
    let ended = copying.run(PORTS.capability, &[&id.to_string()], None).await;
    assert_eq!(ended.task.status, TaskStatus::Completed, "{:?}\n{}", ended.task, copying.node.log());
    let file = ended.stored.iter().find(|(item, _)| item.name.starts_with("file_bin_")).expect("file.bin");
    assert!(file.1 == bytes(3000), "the file that was materialised differs");
    // Read whole, read as a stream and once more from its start, materialised with all others.
    assert_eq!(ended.count(Endpoint::DownloadData), 4);
}

#[tokio::test]
async fn s6_requests_carry_one_client_id_and_the_servers_limits_are_asked_for_once() {
    let copying = Copying::new().await;
    let mut clients = Vec::new();
    let mut asked = 0;
    for round in 0..3 {
        let copied = copying.copy(&bytes(3000 + round), None).await;
        copied.assert_is(&bytes(3000 + round), &copying.node);
        asked += copied.count(Endpoint::Info);
        for endpoint in [Endpoint::DownloadData, Endpoint::ListData, Endpoint::CreateData] {
            let requests = copied.of(endpoint);
            assert!(!requests.is_empty(), "{endpoint:?}");
            clients.extend(
                requests.iter().map(|request| request.header("posemesh-client-id").map(str::to_owned)),
            );
        }
    }
    assert_eq!(asked, 1);
    clients.dedup();
    let [Some(client)] = clients.as_slice() else { panic!("{clients:?}") };
    let info: Vec<_> = copying.scene.requests(Endpoint::Info);
    assert_eq!((info[0].header("posemesh-client-id"), info[0].header("authorization")), (None, None));

    let again = copying.scene.node();
    drop(copying.node);
    let copying = Copying { scene: copying.scene, node: again };
    let copied = copying.copy(&bytes(10), None).await;
    let request = copied.of(Endpoint::DownloadData)[0];
    assert_eq!(request.header("posemesh-client-id"), Some(client.as_str()), "the same after a restart");
}
