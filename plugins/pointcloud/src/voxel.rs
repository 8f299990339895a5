//! Which points share a voxel.
//!
//! The grid begins at the least corner of the cloud. Only `+ - * /` and square roots are used to place
//! points, so that every machine gives the same answer.

use crate::failure::Failure;
use crate::progress::Progress;
use crate::vec3::{Bounds, Vec3};

/// The grid has at most this many voxels along an axis; three such numbers fit into a key.
const MOST_CELLS: f64 = (1_u64 << 40) as f64;
/// A searched voxel size ends the search when so much of the target is reached.
const GOOD_ENOUGH: f64 = 0.99;
/// Each step halves the ratio between the bounds of the search on a logarithmic scale.
const MOST_STEPS: usize = 48;

/// The points of each voxel that has some: ordered by voxel (z, then y, then x), within one by index.
pub(crate) struct Groups(Vec<(u128, u32)>);

impl Groups {
    /// Sorts the points into voxels.
    ///
    /// # Errors
    /// [`Failure::InvalidTask`] if `size` is too small for the extent of the points.
    pub(crate) fn of(positions: &[Vec3], size: f64) -> Result<Self, Failure> {
        let Some(bounds) = Bounds::of(positions) else { return Ok(Self(vec![])) };
        let longest = bounds.longest();
        if longest / size >= MOST_CELLS {
            return Err(Failure::InvalidTask(format!(
                "a voxel_size of {size} is too small for a scan that is {longest} long; use at least {:e}",
                longest / MOST_CELLS * 2.0
            )));
        }
        let mut keys = Vec::new();
        keys.try_reserve_exact(positions.len())
            .map_err(|_| Failure::out_of_memory(positions.len() as u64))?;
        keys.extend(positions.iter().zip(0..).map(|(position, index)| (key(position, &bounds, size), index)));
        keys.sort_unstable();
        Ok(Self(keys))
    }

    /// The indices of the points of each voxel.
    pub(crate) fn iter(&self) -> impl Iterator<Item = impl Iterator<Item = usize> + Clone> {
        self.0.chunk_by(|a, b| a.0 == b.0).map(|group| group.iter().map(|(_, index)| *index as usize))
    }

    /// How many voxels have points.
    pub(crate) fn len(&self) -> usize {
        self.0.chunk_by(|a, b| a.0 == b.0).count()
    }
}

/// The voxel of a point: z, y and x, 42 bits each.
fn key(position: &Vec3, bounds: &Bounds, size: f64) -> u128 {
    let cell = |value: f64, min: f64| ((value - min) / size) as u64;
    let [x, y, z] = [
        cell(position[0], bounds.min[0]),
        cell(position[1], bounds.min[1]),
        cell(position[2], bounds.min[2]),
    ];
    u128::from(z) << 84 | u128::from(y) << 42 | u128::from(x)
}

/// The voxel size that leaves at most `target` voxels with points, and at least 99 % of it if the points
/// allow it. Found by bisection: fewer voxels come of larger ones, nearly always, and the best that was
/// seen counts.
///
/// # Errors
/// What [`Progress`] fails with.
pub(crate) fn size_for(
    positions: &[Vec3],
    target: usize,
    progress: &mut Progress<'_>,
) -> Result<f64, Failure> {
    let longest = Bounds::of(positions).map_or(0.0, |bounds| bounds.longest());
    if longest == 0.0 {
        return Ok(1.0);
    }
    // All in one voxel, whatever the target; and far finer than any scan.
    let (mut large, mut small) = (longest * 1.001, longest / (1_u64 << 24) as f64);
    let mut best = (large, 1);
    for step in 0..MOST_STEPS {
        let size = (large * small).sqrt();
        let count = Groups::of(positions, size)?.len();
        progress.look(step, MOST_STEPS)?;
        if count > target {
            small = size;
            continue;
        }
        large = size;
        if count > best.1 {
            best = (size, count);
        }
        if count as f64 >= target as f64 * GOOD_ENOUGH {
            break;
        }
    }
    Ok(best.0)
}
