//! The whole pipeline, natively, on the dragon of `tests/data` and on scans that are made here.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, BufReader, Write};
use std::rc::Rc;

use pointcloud::failure::Failure;
use pointcloud::params::Params;
use pointcloud::pipeline::{Artifact, Outputs, run};
use pointcloud::progress::Control;
use pointcloud::summary::{Input, Summary};

/// Keeps what was told, and cancels from a stage on.
#[derive(Default)]
struct Recorder {
    told: Vec<(f64, String)>,
    cancel_in: Option<&'static str>,
}

impl Control for Recorder {
    fn progress(&mut self, fraction: f64, stage: &str) {
        self.told.push((fraction, stage.to_owned()));
    }
    fn cancelled(&mut self) -> bool {
        self.cancel_in.is_some_and(|stage| self.told.iter().any(|(_, told)| told == stage))
    }
}

/// Finished artifacts by path, with the size that was announced.
type Artifacts = BTreeMap<String, (u64, Vec<u8>)>;

#[derive(Default, Clone)]
struct Store(Rc<RefCell<Artifacts>>);

struct Writing(Store, String, u64, Vec<u8>);

impl Outputs for Store {
    fn create(&mut self, path: &str, size: u64) -> io::Result<Box<dyn Artifact>> {
        Ok(Box::new(Writing(self.clone(), path.to_owned(), size, Vec::new())))
    }
}

impl Write for Writing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.3.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Artifact for Writing {
    fn finish(self: Box<Self>) -> io::Result<()> {
        let Self(store, path, size, bytes) = *self;
        store.0.borrow_mut().insert(path, (size, bytes));
        Ok(())
    }
}

fn dragon(name: &str) -> Vec<u8> {
    let path = format!("{}/../../tests/data/dragon/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn work(scan: &[u8], meta: &str, recorder: &mut Recorder) -> (Result<Summary, Failure>, Artifacts) {
    let store = Store::default();
    let input = Input { name: "dragon.ply.gz".into(), size: scan.len() as u64 };
    let params = Params::parse(meta).unwrap();
    let done = run(BufReader::new(scan), input, &params, recorder, &mut store.clone());
    (done, store.0.take())
}

fn near(found: [f64; 3], expected: [f64; 3], what: &str) {
    let close = found.iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-6);
    assert!(close, "{what} is {found:?}, expected {expected:?}");
}

/// The counts are those of the files' headers; the box and the centroid were computed from the files
/// by another program.
#[test]
fn a_small_dragon_passes_whole() {
    let mut recorder = Recorder::default();
    let (done, artifacts) = work(&dragon("dragon_vrip_res4.ply.gz"), "null", &mut recorder);
    let summary = done.unwrap();
    assert_eq!((summary.input_points, summary.after_outliers, summary.output_points), (5205, 5205, 5205));
    assert_eq!(summary.voxel_size, None);
    near(summary.bounds.min, [-0.107585, 0.0528441, -0.049836], "the least corner");
    near(summary.bounds.max, [0.0952357, 0.196343, 0.0408262], "the greatest corner");
    near(summary.centroid, [-0.009919903, 0.108229112, -0.008185680], "the centroid");

    assert_eq!(artifacts.keys().collect::<Vec<_>>(), ["points.ply", "preview.png", "summary.json"]);
    for (path, (announced, bytes)) in &artifacts {
        assert_eq!(*announced, bytes.len() as u64, "{path} is not as long as announced");
    }
    let points = &artifacts["points.ply"].1;
    let header = "ply\nformat binary_little_endian 1.0\nelement vertex 5205\nproperty float x\nproperty float y\nproperty float z\nend_header\n";
    assert!(points.starts_with(header.as_bytes()));
    assert_eq!(points.len(), header.len() + 5205 * 12);
    // The first vertex of the file.
    let first: Vec<f32> = points[header.len()..]
        .chunks_exact(4)
        .take(3)
        .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
        .collect();
    assert_eq!(first, [0.0317083, 0.0557939, -0.049836]);

    let json: serde_json::Value = serde_json::from_slice(&artifacts["summary.json"].1).unwrap();
    assert_eq!(json["input"]["name"], "dragon.ply.gz");
    assert_eq!(json["output_points"], 5205);

    assert!(recorder.told.is_sorted_by(|a, b| a.0 <= b.0), "progress went back: {:?}", recorder.told);
    assert_eq!(recorder.told.first().map(|told| told.0), Some(0.0));
    assert_eq!(recorder.told.last().map(|told| told.0), Some(1.0));
    for stage in ["reading", "thinning", "writing", "normals", "preview"] {
        assert!(recorder.told.iter().any(|told| told.1 == stage), "no progress for {stage}");
    }
}

#[test]
fn a_larger_dragon_is_thinned_to_the_target_and_twice_the_same() {
    let scan = dragon("dragon_vrip_res3.ply.gz");
    let meta = r#"{"target_count":6000,"outliers":{"neighbours":8,"std_ratio":3}}"#;
    let (done, artifacts) = work(&scan, meta, &mut Recorder::default());
    let summary = done.unwrap();
    assert_eq!(summary.input_points, 22_998);
    assert!(summary.after_outliers < 22_998 && summary.after_outliers > 22_000, "{summary:?}");
    assert!((5_940..=6_000).contains(&summary.output_points), "{summary:?}");
    assert!(summary.voxel_size.is_some_and(|size| (0.001..0.01).contains(&size)), "{summary:?}");
    // Thinning and a few outliers hardly move the middle.
    let centroid = summary.centroid.iter().zip([-0.0099, 0.1082, -0.0082]);
    assert!(centroid.into_iter().all(|(found, expected)| (found - expected).abs() < 0.003), "{summary:?}");

    let (_, again) = work(&scan, meta, &mut Recorder::default());
    assert!(artifacts["points.ply"] == again["points.ply"], "the points differ between two runs");
    assert!(artifacts["preview.png"] == again["preview.png"], "the pictures differ between two runs");
}

#[test]
fn cancellation_is_noticed_in_every_stage_and_nothing_more_is_stored() {
    let scan = dragon("dragon_vrip_res4.ply.gz");
    for (stage, stored) in
        [("reading", 0), ("outliers", 0), ("thinning", 0), ("writing", 0), ("normals", 1), ("preview", 1)]
    {
        let mut recorder = Recorder { cancel_in: Some(stage), ..Recorder::default() };
        let (done, artifacts) = work(&scan, r#"{"voxel_size":0.004,"outliers":{}}"#, &mut recorder);
        assert!(matches!(done, Err(Failure::Cancelled)), "{stage}: {done:?}");
        assert_eq!(artifacts.len(), stored, "{stage}: {:?}", artifacts.keys());
    }
}

#[test]
fn a_broken_scan_is_named_and_stores_nothing() {
    let mut scan = dragon("dragon_vrip_res4.ply.gz");
    scan.truncate(40_000);
    let (done, artifacts) = work(&scan, "null", &mut Recorder::default());
    let failure = done.unwrap_err();
    assert!(matches!(&failure, Failure::InvalidInput(_)), "{failure:?}");
    let text = failure.to_string();
    assert!(text.starts_with("dragon.ply.gz: ") && text.contains("gzip stream ends too early"), "{text}");
    assert!(artifacts.is_empty());
}
