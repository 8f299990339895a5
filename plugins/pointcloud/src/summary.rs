//! `summary.json`.

use serde::Serialize;

use crate::vec3::{Bounds, Vec3, add, scale, sub};

/// What was done, for programs and people. `bounds` and `centroid` are those of the points as written.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// The scan.
    pub input: Input,
    /// How many points it has.
    pub input_points: usize,
    /// How many were left without the outliers; all of them if none were to be removed.
    pub after_outliers: usize,
    /// How many were left in the end.
    pub output_points: usize,
    /// The size of a voxel; none if the scan had few enough points already.
    pub voxel_size: Option<f64>,
    /// The least and the greatest coordinates.
    pub bounds: Corners,
    /// The mean position.
    pub centroid: Vec3,
    /// How long it took, preview included.
    pub elapsed_ms: u64,
}

/// What the domain server says about a scan before the first byte is read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Input {
    /// The name of the input in the domain.
    pub name: String,
    /// Size of the stored input in bytes (compressed, if it was stored so).
    pub size: u64,
}

/// An axis-aligned bounding box.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Corners {
    /// The corner with the smallest coordinates.
    pub min: Vec3,
    /// The corner with the largest coordinates.
    pub max: Vec3,
}

impl Corners {
    /// The box around points; at 0 if there are none.
    pub fn of(positions: &[Vec3]) -> Self {
        Bounds::of(positions).map_or_else(Self::default, |bounds| Self { min: bounds.min, max: bounds.max })
    }
}

/// The mean of points; 0 if there are none.
pub fn centroid(positions: &[Vec3]) -> Vec3 {
    let origin = positions.first().copied().unwrap_or_default();
    let sum = positions.iter().fold([0.0; 3], |sum, position| add(sum, sub(*position, origin)));
    add(origin, scale(sum, 1.0 / positions.len().max(1) as f64))
}
