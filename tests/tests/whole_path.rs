//! The whole path of a task with real parts: the node binary, the devnet, the `pointcloud` component and
//! real scans.

use std::io::Read as _;
use std::time::Duration;

use posemesh_devnet::{Devnet, DevnetConfig, TaskState, TaskStatus};
use posemesh_tests::{NodeProcess, dragon, plugins_dir, variables};
use serde_json::{Value, json};
use uuid::Uuid;

const TIMEOUT: Duration = Duration::from_secs(240);

/// The vertices of a binary little-endian PLY with only scalar vertex properties: the header
/// and the positions, read without a library.
fn read_ply(bytes: &[u8]) -> (Vec<String>, Vec<[f32; 3]>) {
    let end = bytes.windows(11).position(|window| window == b"end_header\n").expect("a header") + 11;
    let header: Vec<String> =
        std::str::from_utf8(&bytes[..end]).expect("a text header").lines().map(str::to_owned).collect();
    assert_eq!(header[0], "ply");
    assert_eq!(header[1], "format binary_little_endian 1.0");
    let count: usize = header
        .iter()
        .find_map(|line| line.strip_prefix("element vertex "))
        .expect("an element line")
        .parse()
        .expect("a count");
    let properties: Vec<&String> = header.iter().filter(|line| line.starts_with("property ")).collect();
    assert!(
        properties.len() >= 3 && properties.iter().take(3).all(|line| line.starts_with("property float "))
    );
    let size: usize = properties
        .iter()
        .map(|line| match line.split(' ').nth(1) {
            Some("char" | "uchar") => 1,
            Some("short" | "ushort") => 2,
            Some("int" | "uint" | "float") => 4,
            Some("double") => 8,
            other => panic!("property type {other:?}"),
        })
        .sum();
    let body = &bytes[end..];
    assert_eq!(body.len(), count * size, "the body has just the vertices of the header");
    let float = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().expect("four bytes"));
    let points = body.chunks_exact(size).map(|v| [float(&v[..4]), float(&v[4..8]), float(&v[8..12])]);
    (header, points.collect())
}

/// The number of vertices in the header of a gzipped PLY.
fn vertices_of(scan: &std::path::Path) -> u64 {
    let mut text = Vec::new();
    let file = std::fs::File::open(scan).expect("the scan");
    flate2::read::GzDecoder::new(file).read_to_end(&mut text).expect("gzip");
    let head = String::from_utf8_lossy(&text[..2000.min(text.len())]).into_owned();
    let line = head.lines().find_map(|line| line.strip_prefix("element vertex ")).expect("an element line");
    line.trim().parse().expect("a count")
}

async fn artifact(devnet: &Devnet, state: &TaskState, path: &str) -> Vec<u8> {
    let artifacts =
        state.completions[0].pointer("/meta/artifacts").and_then(Value::as_array).expect("artifacts");
    let entry = artifacts
        .iter()
        .find(|artifact| artifact["logical_path"] == path)
        .unwrap_or_else(|| panic!("no {path} in {artifacts:?}"));
    let id: Uuid = entry["id"].as_str().expect("an id").parse().expect("a uuid");
    assert!(state.completions[0]["output_cids"].as_array().expect("cids").contains(&entry["id"]));
    devnet.read_data(id).await.expect("stored").to_vec()
}

async fn thin(resolution: u32, meta: Value) -> (Devnet, TaskState, u64) {
    let devnet = Devnet::start(DevnetConfig::default()).await.expect("a devnet");
    let work = tempfile::tempdir().expect("a folder");
    let mut node = NodeProcess::run(&variables(&devnet, &plugins_dir(), work.path()));
    let scan = dragon(resolution);
    let data = devnet.put_file("dragon_scan", "ply", &scan).await.expect("stored");
    let job = devnet
        .submit_job(json!({"label": "e2e", "tasks": [{
            "label": "thin", "stage": "thin", "capability": "/posemesh/pointcloud/v1",
            "inputs_cids": [devnet.data_url(data)], "outputs_prefix": "thin", "meta": meta,
        }]}))
        .expect("a job");
    let ended = devnet.wait_for_task_end(job.tasks[0], TIMEOUT).await;
    let ended = ended.unwrap_or_else(|error| panic!("{error}; the node printed:\n{}", node.log()));
    assert_eq!(ended.status, TaskStatus::Completed, "{:?}\n{}", ended.failures, node.log());
    assert_eq!((ended.completions.len(), ended.failures.len(), ended.leases.len()), (1, 0, 1));
    assert_eq!(node.terminate().await, 0, "{}", node.log());
    let left: Vec<_> = std::fs::read_dir(work.path().join("work")).expect("WORK_DIR").flatten().collect();
    assert!(
        left.iter().all(|entry| !entry.path().is_dir()),
        "a task's directory is gone after the task, but there is {left:?}"
    );
    (devnet, ended, vertices_of(&scan))
}

async fn check(devnet: &Devnet, ended: &TaskState, input_points: u64) -> u64 {
    let (header, points) = read_ply(&artifact(devnet, ended, "thin/points.ply").await);
    let summary: Value =
        serde_json::from_slice(&artifact(devnet, ended, "thin/summary.json").await).expect("a summary");
    assert_eq!(summary["input_points"], input_points, "{summary}");
    assert_eq!(summary["output_points"], points.len(), "{summary}\n{header:?}");
    for (axis, name) in ["x", "y", "z"].iter().enumerate() {
        let (low, high) = (&summary["bounds"]["min"][axis], &summary["bounds"]["max"][axis]);
        let (low, high) = (low.as_f64().expect("min"), high.as_f64().expect("max"));
        assert!(low < high, "{name}: {summary}");
        for point in &points {
            let at = f64::from(point[axis]);
            assert!(at >= low - 1e-5 && at <= high + 1e-5, "{name} of {point:?} is outside: {summary}");
        }
    }

    let picture = artifact(devnet, ended, "thin/preview.png").await;
    let mut reader = png::Decoder::new(std::io::Cursor::new(picture)).read_info().expect("a picture");
    let mut pixels = vec![0; reader.output_buffer_size().expect("a size")];
    let frame = reader.next_frame(&mut pixels).expect("pixels");
    assert!(frame.width >= 320 && frame.height >= 240, "{frame:?}");
    let shades: std::collections::BTreeSet<&[u8]> = pixels.chunks_exact(3).collect();
    assert!(shades.len() > 50, "a shaded picture has more than {} colours", shades.len());

    let beats = devnet.heartbeats(ended.id);
    assert_eq!(beats[0].progress, json!({}), "the first heartbeat says that work begins");
    let seen: Vec<f64> = beats.iter().filter_map(|beat| beat.progress["progress"].as_f64()).collect();
    assert!(seen.windows(2).all(|pair| pair[0] <= pair[1]), "progress only grows: {seen:?}");
    assert_eq!(seen.last(), Some(&1.0), "the last progress arrives before complete: {seen:?}");
    assert!(beats.iter().all(|beat| beat.progress == json!({}) || beat.progress["stage"].is_string()));
    points.len() as u64
}

#[tokio::test]
async fn a_small_scan_is_thinned_to_a_target_count() {
    let (devnet, ended, input_points) = thin(4, json!({"target_count": 2000})).await;
    let points = check(&devnet, &ended, input_points).await;
    assert!((1000..=2000).contains(&points), "at or under the target and near it, not {points}");
    devnet.shutdown().await;
}

#[tokio::test]
async fn a_larger_scan_loses_its_outliers_and_is_thinned_on_a_voxel_grid() {
    let meta = json!({"voxel_size": 0.004, "outliers": {"neighbours": 12, "std_ratio": 2.0}});
    let (devnet, ended, input_points) = thin(3, meta).await;
    let points = check(&devnet, &ended, input_points).await;
    assert!(points > 500 && points < input_points, "{points} of {input_points}");
    devnet.shutdown().await;
}
