//! A scan with as many points as one likes, of the Stanford dragon in `tests/data`.
//!
//! The repository has it decimated, to 22,998 vertices and 47,794 triangles. More points lie on those triangles, drawn by a
//! generator with a fixed seed: the same file each time, as dense everywhere as the original is.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

const DECIMATED: &str = "tests/data/dragon/dragon_vrip_res3.ply.gz";

type Point = [f64; 3];

struct Mesh {
    vertices: Vec<Point>,
    triangles: Vec<[Point; 3]>,
}

/// An ASCII PLY file with so many points, in the form of the original.
///
/// # Errors
/// If the file in `tests/data` is not what it was.
pub(super) fn scan(points: usize) -> Result<Vec<u8>> {
    let mesh = decimated()?;
    let mut text = format!(
        "ply\nformat ascii 1.0\nelement vertex {points}\nproperty float x\nproperty float y\nproperty float z\n\
         end_header\n"
    );
    let mut from = fastrand::Rng::with_seed(437_645);
    // How much area has gone by before each triangle: a point falls on one as often as that is large.
    let mut sums = Vec::with_capacity(mesh.triangles.len());
    let mut sum = 0.0;
    for triangle in &mesh.triangles {
        sum += area(triangle);
        sums.push(sum);
    }
    for at in 0..points {
        let [x, y, z] = match mesh.vertices.get(at) {
            Some(vertex) => *vertex,
            None => {
                let wanted = from.f64() * sum;
                let at = sums.partition_point(|sum| *sum < wanted);
                let triangle = mesh.triangles.get(at.min(mesh.triangles.len().saturating_sub(1)));
                on(triangle.context("the mesh has no triangle")?, from.f64(), from.f64())
            }
        };
        // As precise as the original.
        writeln!(text, "{} {} {} ", x as f32, y as f32, z as f32).context("writing a point")?;
    }
    Ok(text.into_bytes())
}

/// A point of a triangle, from two numbers between 0 and 1.
fn on([a, b, c]: &[Point; 3], along: f64, across: f64) -> Point {
    let (along, across) = if along + across > 1.0 { (1.0 - along, 1.0 - across) } else { (along, across) };
    let mut point = *a;
    for (value, ((a, b), c)) in point.iter_mut().zip(a.iter().zip(b).zip(c)) {
        *value += along * (b - a) + across * (c - a);
    }
    point
}

fn area([a, b, c]: &[Point; 3]) -> f64 {
    let side = |to: &Point| -> Point { [to[0] - a[0], to[1] - a[1], to[2] - a[2]] };
    let (u, v) = (side(b), side(c));
    let cross = [u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]];
    cross.iter().map(|value| value * value).sum::<f64>().sqrt() / 2.0
}

fn decimated() -> Result<Mesh> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(DECIMATED);
    let reading = || format!("reading {DECIMATED}");
    let mut text = String::new();
    let file = std::fs::File::open(path).with_context(reading)?;
    flate2::read::MultiGzDecoder::new(file).read_to_string(&mut text).with_context(reading)?;
    let (head, body) = text.split_once("end_header\n").context("it has no end of its head")?;
    let count = |element: &str| -> Result<usize> {
        let line = head.lines().find_map(|line| line.strip_prefix("element ")?.strip_prefix(element));
        line.context("an element is missing")?.trim().parse().context("reading a count")
    };
    let mut lines = body.lines();
    let mut vertices = Vec::new();
    for line in lines.by_ref().take(count("vertex")?) {
        let numbers: Vec<f64> = line.split_whitespace().map_while(|text| text.parse().ok()).collect();
        vertices.push(numbers.try_into().ok().context("a vertex has other than three numbers")?);
    }
    let mut triangles = Vec::new();
    for line in lines.take(count("face")?) {
        let numbers: Vec<usize> = line.split_whitespace().map_while(|text| text.parse().ok()).collect();
        let [3, corners @ ..] = numbers.as_slice() else { bail!("a face is no triangle: {line:?}") };
        let corners: Option<Vec<Point>> = corners.iter().map(|at| vertices.get(*at).copied()).collect();
        let corners = corners.context("a face has a vertex that there is not")?;
        triangles.push(corners.try_into().ok().context("a triangle has other than three corners")?);
    }
    Ok(Mesh { vertices, triangles })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_is_the_same_each_time_and_lies_on_the_dragon() {
        let points = 30_000;
        let scan = scan(points).unwrap();
        assert_eq!(scan, super::scan(points).unwrap());
        let text = String::from_utf8(scan).unwrap();
        let (head, body) = text.split_once("end_header\n").unwrap();
        assert!(head.contains(&format!("element vertex {points}\n")), "{head}");
        assert_eq!(body.lines().count(), points);
        let vertices = decimated().unwrap().vertices;
        for axis in 0..3 {
            let low = vertices.iter().map(|point| point[axis]).fold(f64::INFINITY, f64::min);
            let high = vertices.iter().map(|point| point[axis]).fold(f64::NEG_INFINITY, f64::max);
            for line in body.lines() {
                let value: f64 = line.split_whitespace().nth(axis).unwrap().parse().unwrap();
                assert!((low - 1e-6..=high + 1e-6).contains(&value), "{line}");
            }
        }
    }
}
