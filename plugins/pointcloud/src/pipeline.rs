//! All the work, free of the component's interface: a scan in, three artifacts out.

use std::io::{self, BufRead, BufWriter, Write};
use std::time::Instant;

use crate::failure::Failure;
use crate::params::Params;
use crate::progress::{Control, Progress};
use crate::summary::{Corners, Input, Summary, centroid};
use crate::{outliers, ply, preview, thin};

/// Artifacts are written in pieces of this size.
const CHUNK: usize = 1 << 20;

/// Where artifacts go.
pub trait Outputs {
    /// Starts an artifact that is going to have `size` bytes.
    fn create(&mut self, path: &str, size: u64) -> io::Result<Box<dyn Artifact>>;
}

/// An artifact that is being written; unless it is finished, nothing is stored.
pub trait Artifact: Write {
    /// Commits.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

/// Thins a scan and writes `points.ply`, `preview.png` and `summary.json`.
///
/// # Errors
/// See [`Failure`].
pub fn run(
    scan: impl BufRead,
    input: Input,
    params: &Params,
    control: &mut dyn Control,
    outputs: &mut dyn Outputs,
) -> Result<Summary, Failure> {
    let start = Instant::now();
    let mut progress = Progress::new(control);

    progress.stage("reading", 0.0, 0.35)?;
    let mut cloud = ply::read(scan, &mut progress).map_err(|failure| match failure {
        Failure::InvalidInput(what) => Failure::InvalidInput(format!("{}: {what}", input.name)),
        other => other,
    })?;
    let input_points = cloud.len();

    if let Some(params) = &params.outliers {
        progress.stage("outliers", 0.35, 0.55)?;
        let keep = outliers::keep(&cloud.positions()?, params, &mut progress)?;
        cloud.retain(&keep);
    }
    let after_outliers = cloud.len();

    progress.stage("thinning", 0.55, 0.65)?;
    let (cloud, voxel_size) = thin::thin(cloud, params.thinning, &mut progress)?;

    progress.stage("writing", 0.65, 0.7)?;
    let artifact = outputs.create("points.ply", ply::size(&cloud))?;
    let mut writer = BufWriter::with_capacity(CHUNK, artifact);
    ply::write(&cloud, &mut writer, &mut progress)?;
    writer.into_inner().map_err(io::IntoInnerError::into_error)?.finish()?;

    let picture = preview::render(&cloud, params.up, &mut progress)?;
    store(outputs, "preview.png", &picture)?;

    let positions = cloud.positions()?;
    let summary = Summary {
        input,
        input_points,
        after_outliers,
        output_points: cloud.len(),
        voxel_size,
        bounds: Corners::of(&positions),
        centroid: centroid(&positions),
        elapsed_ms: start.elapsed().as_millis() as u64,
    };
    let text = serde_json::to_vec_pretty(&summary).map_err(io::Error::from)?;
    store(outputs, "summary.json", &text)?;
    progress.finish();
    Ok(summary)
}

fn store(outputs: &mut dyn Outputs, path: &str, bytes: &[u8]) -> Result<(), Failure> {
    let mut artifact = outputs.create(path, bytes.len() as u64)?;
    for chunk in bytes.chunks(CHUNK) {
        artifact.write_all(chunk)?;
    }
    Ok(artifact.finish()?)
}
