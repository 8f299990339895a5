//! The ground below the cloud, and the soft shadow on it.

use super::*;
use crate::vec3::{Bounds, sub};

/// The shadow is a picture of this many cells in each direction.
const CELLS: usize = 192;
/// How far it reaches beyond the cloud, as a part of the longest side.
const MARGIN: f64 = 0.45;
/// It is blurred this often over this many cells to each side.
const BLUR: (usize, usize) = (3, 5);
/// How dark it gets.
const DARKEST: f64 = 0.62;

/// A horizontal plane at the lowest point.
pub(super) struct Ground {
    /// Which coordinates are up and along the ground.
    axes: [usize; 3],
    height: f64,
    /// The corner of the shadow's picture, and the size of its cells.
    corner: (f64, f64),
    cell: f64,
    /// How dark each cell is, row by row.
    shadow: Vec<f32>,
}

impl Ground {
    /// Lets the cloud fall onto the ground and blurs what is there.
    pub(super) fn under(positions: &[Vec3], camera: &Camera, up: Axis) -> Self {
        let axes = match up {
            Axis::X => [0, 1, 2],
            Axis::Y => [1, 0, 2],
            Axis::Z => [2, 0, 1],
        };
        let bounds = Bounds::of(positions).unwrap_or(Bounds { min: [0.0; 3], max: [0.0; 3] });
        let extent = bounds.extent();
        let longest = at(extent, axes[1]).max(at(extent, axes[2])).max(camera.size * 0.2);
        let side = longest * (1.0 + 2.0 * MARGIN);
        let centre = bounds.centre();
        let corner = (at(centre, axes[1]) - side / 2.0, at(centre, axes[2]) - side / 2.0);
        let mut ground = Self {
            axes,
            height: at(bounds.min, axes[0]),
            corner,
            cell: side / CELLS as f64,
            shadow: vec![0.0; CELLS * CELLS],
        };
        // What is high above the ground darkens it less.
        let reach = at(extent, axes[0]).max(camera.size * 0.05);
        for position in positions {
            let height = (at(*position, axes[0]) - ground.height) / reach;
            let (column, row) = ground.place(*position);
            if let Some(cell) = ground.shadow.get_mut(row as usize * CELLS + column as usize) {
                *cell = cell.max((1.0 - 0.75 * height) as f32);
            }
        }
        for _ in 0..BLUR.0 {
            ground.shadow = blur(&blur(&ground.shadow, 1, CELLS), CELLS, 1);
        }
        ground
    }

    /// How much light is left, from 0 to 1, where a ray meets the ground.
    pub(super) fn light(&self, eye: Vec3, direction: Vec3) -> f64 {
        let fall = at(direction, self.axes[0]);
        if fall >= 0.0 {
            return 1.0;
        }
        let along = (self.height - at(eye, self.axes[0])) / fall;
        let (column, row) = self.place(crate::vec3::add(eye, scale(direction, along)));
        1.0 - DARKEST * f64::from(self.sample(column - 0.5, row - 0.5))
    }

    /// The place in the shadow's picture below a position.
    fn place(&self, position: Vec3) -> (f64, f64) {
        let offset = sub(position, [0.0; 3]);
        (
            (at(offset, self.axes[1]) - self.corner.0) / self.cell,
            (at(offset, self.axes[2]) - self.corner.1) / self.cell,
        )
    }

    /// The darkness between cells; 0 outside.
    fn sample(&self, column: f64, row: f64) -> f32 {
        if !(column >= 0.0 && row >= 0.0 && column < (CELLS - 1) as f64 && row < (CELLS - 1) as f64) {
            return 0.0;
        }
        let (right, down) = (column.fract() as f32, row.fract() as f32);
        let first = row as usize * CELLS + column as usize;
        let get = |index: usize| self.shadow.get(index).copied().unwrap_or(0.0);
        let top = get(first) * (1.0 - right) + get(first + 1) * right;
        let bottom = get(first + CELLS) * (1.0 - right) + get(first + CELLS + 1) * right;
        top * (1.0 - down) + bottom * down
    }
}

fn at(vector: Vec3, axis: usize) -> f64 {
    vector.get(axis).copied().unwrap_or_default()
}

/// The mean over some cells to each side along one direction: `step` from cell to cell, `line` from line to line.
fn blur(values: &[f32], step: usize, line: usize) -> Vec<f32> {
    let mut means = vec![0.0; values.len()];
    for row in 0..CELLS {
        for column in 0..CELLS {
            let cells = column.saturating_sub(BLUR.1)..(column + BLUR.1 + 1).min(CELLS);
            let sum: f32 = cells.filter_map(|column| values.get(row * line + column * step)).sum();
            if let Some(mean) = means.get_mut(row * line + column * step) {
                *mean = sum / (2 * BLUR.1 + 1) as f32;
            }
        }
    }
    means
}
