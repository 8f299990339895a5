//! Which points share a voxel.
//!
//! The grid begins at the least corner of the cloud. Only `+ - * /` and square roots are used to place
//! points, so that every machine gives the same answer.

use crate::failure::Failure;
use crate::progress::Progress;
use crate::vec3::{Bounds, Vec3};

/// The grid has at most this many voxels along an axis; three such numbers fit into a key.
const MOST_CELLS: f64 = (1_u64 << 40) as f64;
/// With fewer voxels along an axis, three such numbers fit into 63 bits.
const FEW_CELLS: f64 = (1_u64 << 21) as f64;
/// What no key is.
const FREE: u64 = u64::MAX;
/// 2^64 by the golden ratio: products with it differ in their high bits where keys differ anywhere.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
/// A searched voxel size ends the search when so much of the target is reached.
const GOOD_ENOUGH: f64 = 0.99;
/// Each step halves the ratio between the bounds of the search on a logarithmic scale.
const MOST_STEPS: usize = 48;

/// The points of each voxel that has some: ordered by voxel (z, then y, then x), within one by index.
pub(crate) struct Groups {
    /// The points of the first voxel, then those of the second, and so on.
    members: Vec<u32>,
    /// Where the points of each voxel end among them.
    ends: Vec<u32>,
}

impl Groups {
    /// Sorts the points into voxels.
    ///
    /// # Errors
    /// [`Failure::InvalidTask`] if `size` is too small for the extent of the points.
    pub(crate) fn of(positions: &[Vec3], size: f64) -> Result<Self, Failure> {
        let Some(bounds) = Bounds::of(positions) else {
            return Ok(Self { members: Vec::new(), ends: Vec::new() });
        };
        let longest = bounds.longest();
        if longest / size >= MOST_CELLS {
            return Err(Failure::InvalidTask(format!(
                "a voxel_size of {size} is too small for a scan that is {longest} long; use at least {:e}",
                longest / MOST_CELLS * 2.0
            )));
        }
        // Numbers of 64 bits are sorted in half the time.
        if longest / size < FEW_CELLS {
            grouped(positions, |position| short_key(cells(position, &bounds, size)))
        } else {
            grouped(positions, |position| key(cells(position, &bounds, size)))
        }
    }

    /// The indices of the points of each voxel.
    pub(crate) fn iter(&self) -> impl Iterator<Item = impl Iterator<Item = usize> + Clone> {
        self.ends.iter().scan(0, |from, end| {
            let voxel = std::mem::replace(from, *end as usize)..*end as usize;
            Some(self.members.get(voxel).unwrap_or_default().iter().map(|index| *index as usize))
        })
    }

    /// How many voxels have points.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }
}

fn grouped<K: Ord + Copy>(positions: &[Vec3], key: impl Fn(&Vec3) -> K) -> Result<Groups, Failure> {
    let out_of_memory = |_| Failure::out_of_memory(positions.len() as u64);
    let mut keys = Vec::new();
    keys.try_reserve_exact(positions.len()).map_err(out_of_memory)?;
    keys.extend(positions.iter().map(key).zip(0_u32..));
    keys.sort_unstable();
    let (mut members, mut ends) = (Vec::new(), Vec::new());
    members.try_reserve_exact(positions.len()).map_err(out_of_memory)?;
    for voxel in keys.chunk_by(|a, b| a.0 == b.0) {
        members.extend(voxel.iter().map(|(_, index)| *index));
        ends.try_reserve(1).map_err(out_of_memory)?;
        ends.push(members.len() as u32);
    }
    Ok(Groups { members, ends })
}

/// The place of a point's voxel along x, y and z.
fn cells(position: &Vec3, bounds: &Bounds, size: f64) -> [u64; 3] {
    let cell = |value: f64, min: f64| ((value - min) / size) as u64;
    [cell(position[0], bounds.min[0]), cell(position[1], bounds.min[1]), cell(position[2], bounds.min[2])]
}

/// z, y and x, 42 bits each.
fn key([x, y, z]: [u64; 3]) -> u128 {
    u128::from(z) << 84 | u128::from(y) << 42 | u128::from(x)
}

/// The same of fewer cells than [`FEW_CELLS`]: 21 bits each, so that the highest bit is never set.
fn short_key([x, y, z]: [u64; 3]) -> u64 {
    z << 42 | y << 21 | x
}

/// How many voxels have points, if it is at most `most`; more than `most` otherwise.
fn count(positions: &[Vec3], bounds: &Bounds, size: f64, most: usize) -> Result<usize, Failure> {
    if bounds.longest() / size >= FEW_CELLS {
        return Ok(Groups::of(positions, size)?.len());
    }
    let most = most.min(positions.len());
    // A table of keys, at most half full, so that a free place is near.
    let places = (2 * (most + 1)).next_power_of_two();
    let mut table = Vec::new();
    table.try_reserve_exact(places).map_err(|_| Failure::out_of_memory(positions.len() as u64))?;
    table.resize(places, FREE);
    let mut found = 0;
    for position in positions {
        let key = short_key(cells(position, bounds, size));
        let mut place = (key.wrapping_mul(SPREAD) >> (64 - places.trailing_zeros())) as usize;
        while let Some(here) = table.get_mut(place)
            && *here != key
        {
            if *here == FREE {
                *here = key;
                found += 1;
                if found > most {
                    return Ok(found);
                }
                break;
            }
            place = (place + 1) & (places - 1);
        }
    }
    Ok(found)
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
    let Some(bounds) = Bounds::of(positions) else { return Ok(1.0) };
    let longest = bounds.longest();
    if longest == 0.0 {
        return Ok(1.0);
    }
    // All in one voxel, whatever the target; and far finer than any scan.
    let (mut large, mut small) = (longest * 1.001, longest / (1_u64 << 24) as f64);
    let mut best = (large, 1);
    for step in 0..MOST_STEPS {
        let size = (large * small).sqrt();
        let count = count(positions, &bounds, size, target)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn voxels_are_counted_as_they_are_grouped() -> Result<(), Failure> {
        let at = |index: u32| f64::from(index.wrapping_mul(2_654_435_761) % 10_007) / 10_007.0;
        let points: Vec<Vec3> = (0..5000).map(|index| [at(index), at(index + 7), at(index * 3)]).collect();
        // The last is finer than short keys reach.
        let bounds = Bounds::of(&points).unwrap_or(Bounds { min: [0.0; 3], max: [1.0; 3] });
        for size in [2.0, 0.3, 0.05, 0.001, 1e-6, 1e-7] {
            let groups = Groups::of(&points, size)?;
            assert_eq!(count(&points, &bounds, size, points.len())?, groups.len(), "{size}");
            let most = groups.len() / 2;
            assert!(count(&points, &bounds, size, most)? > most, "{size}");
            let mut members: Vec<usize> = groups.iter().flatten().collect();
            members.sort_unstable();
            assert!(members.into_iter().eq(0..points.len()), "each point is in one voxel of {size}");
        }
        Ok(())
    }
}
