//! Discs on a canvas with a depth at each sample.
//!
//! First all discs are covered: the nearest depth at each sample is kept. Then all are painted: what lies
//! close to the nearest depth is blended, with more weight in the middle of a disc than at its rim.

use crate::failure::Failure;
use crate::vec3::Vec3;

/// A disc that is seen so flatly is drawn as if it were a little steeper: it would be a needle.
const FLATTEST: f64 = 0.22;
/// How far behind the nearest depth a disc still belongs to the same surface, in radii.
const SAME_SURFACE: f64 = 0.9;

/// A disc, lit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Disc {
    /// Right, up and distance ahead.
    pub centre: Vec3,
    /// Right, up and towards the camera.
    pub normal: Vec3,
    /// In the cloud's units.
    pub radius: f64,
    /// The light that it sends to the camera: linear red, green and blue.
    pub light: [f32; 3],
}

/// A sample of the canvas.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sample {
    /// The sum of the discs' light by weight.
    pub light: [f32; 3],
    /// The sum of the weights; 0 where nothing is.
    pub weight: f32,
}

/// The picture before it is developed.
pub(super) struct Canvas {
    /// Samples in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// See [`super::Camera`].
    pub focal: f64,
    shift: (f64, f64),
    /// The distance ahead at each sample, infinite where nothing is.
    pub depths: Vec<f32>,
    /// What was painted, row by row.
    pub samples: Vec<Sample>,
}

impl Canvas {
    /// An empty canvas.
    ///
    /// # Errors
    /// [`Failure::Failed`] if there is no memory for it.
    pub(super) fn new(width: usize, height: usize, focal: f64, shift: (f64, f64)) -> Result<Self, Failure> {
        let depths = filled(f32::INFINITY, width * height)?;
        let samples = filled(Sample::default(), width * height)?;
        Ok(Self { width, height, focal, shift, depths, samples })
    }

    /// Keeps the disc's depths where they are the nearest.
    pub(super) fn cover(&mut self, disc: &Disc) {
        self.draw(disc, |depth, _, _, disc_depth| *depth = depth.min(disc_depth));
    }

    /// Blends the disc's light where it is about the nearest.
    pub(super) fn paint(&mut self, disc: &Disc) {
        let slack = (disc.radius * SAME_SURFACE) as f32;
        let light = disc.light;
        self.draw(disc, |depth, sample, distance, disc_depth| {
            if disc_depth <= *depth + slack {
                let weight = (1.0 - distance).powi(2) + 1e-4;
                for (sum, value) in sample.light.iter_mut().zip(light) {
                    *sum += value * weight;
                }
                sample.weight += weight;
            }
        });
    }

    /// Calls `at(depth, sample, distance, disc's depth)` for each sample that the disc covers; `distance` is
    /// that from its middle, squared, 1 at the rim.
    fn draw(&mut self, disc: &Disc, mut at: impl FnMut(&mut f32, &mut Sample, f32, f32)) {
        let [x, y, ahead] = disc.centre;
        if ahead <= 0.0 {
            return;
        }
        let pixels = self.focal / ahead;
        let (column, row) = (self.shift.0 + x * pixels, self.shift.1 - y * pixels);
        let reach = disc.radius * pixels;
        let (Some(columns), Some(rows)) = (range(column, reach, self.width), range(row, reach, self.height))
        else {
            return;
        };
        let [nx, ny, nz] = disc.normal;
        let (slope_x, slope_y) = (nx / nz.max(FLATTEST), ny / nz.max(FLATTEST));
        let shrink = 1.0 / (disc.radius * disc.radius);
        for row_index in rows {
            let line = row_index * self.width + columns.start..row_index * self.width + columns.end;
            let (Some(depths), Some(samples)) =
                (self.depths.get_mut(line.clone()), self.samples.get_mut(line))
            else {
                continue;
            };
            let up = (row - row_index as f64 - 0.5) / pixels;
            for ((depth, sample), column_index) in depths.iter_mut().zip(samples).zip(columns.clone()) {
                let right = (column_index as f64 + 0.5 - column) / pixels;
                let nearer = -(slope_x * right + slope_y * up);
                let distance = (right * right + up * up + nearer * nearer) * shrink;
                if distance <= 1.0 {
                    at(depth, sample, distance as f32, (ahead - nearer) as f32);
                }
            }
        }
    }
}

/// A vector of equal values; the canvas is the one large thing whose size is known beforehand.
fn filled<T: Clone>(value: T, count: usize) -> Result<Vec<T>, Failure> {
    let mut values = Vec::new();
    values.try_reserve_exact(count).map_err(|_| {
        let size = (count * size_of::<T>()) >> 20;
        Failure::Failed(format!(
            "not enough memory to draw the preview (another {size} MiB); the operator can grant this runner more"
        ))
    })?;
    values.resize(count, value);
    Ok(values)
}

/// The samples around `middle`, cut at the canvas' edges; none if all are outside.
fn range(middle: f64, reach: f64, end: usize) -> Option<std::ops::Range<usize>> {
    let (from, to) = ((middle - reach).floor().max(0.0), (middle + reach).ceil().min(end as f64));
    (from < to).then_some(from as usize..to as usize)
}
