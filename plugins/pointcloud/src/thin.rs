//! One point for each voxel.

use crate::cloud::{Cloud, Column, Role, Values};
use crate::failure::Failure;
use crate::params::Thinning;
use crate::progress::Progress;
use crate::vec3::{Vec3, add, scale, sub, unit};
use crate::voxel::{Groups, size_for};

#[cfg(test)]
mod tests;

/// What a voxel's points have in common.
struct Voxel {
    /// The mean position.
    centroid: Vec3,
    /// The mean direction of the normals that have one, if the cloud has normals and they don't cancel.
    normal: Option<Vec3>,
    /// The point nearest to the centroid; the first if several are.
    nearest: usize,
}

/// Thins a cloud. Each voxel's point has the mean position, the mean colour (rounded if it is an
/// integer), the mean normal with length 1, and of everything else what the point nearest to the mean
/// position has. A cloud that has no more than the target count stays as it is.
///
/// The answer is the points, ordered by voxel, and the voxel size; none if there was nothing to do.
///
/// # Errors
/// [`Failure::InvalidTask`] if the voxels are too small, and what [`Progress`] fails with.
pub(crate) fn thin(
    cloud: Cloud,
    thinning: Thinning,
    progress: &mut Progress<'_>,
) -> Result<(Cloud, Option<f64>), Failure> {
    let size = match thinning {
        Thinning::TargetCount(target) if cloud.len() <= target => return Ok((cloud, None)),
        Thinning::TargetCount(target) => size_for(&cloud.positions()?, target, progress)?,
        Thinning::VoxelSize(size) => size,
    };
    let positions = cloud.positions()?;
    let groups = Groups::of(&positions, size)?;
    let voxels = voxels(&groups, &positions, cloud.normals()?.as_deref())?;
    let mut columns = Vec::with_capacity(cloud.columns.len());
    for (index, column) in cloud.columns.iter().enumerate() {
        progress.look(index, cloud.columns.len())?;
        let values = merge(column, &groups, &voxels)?;
        columns.push(Column { name: column.name.clone(), role: column.role, values });
    }
    Ok((Cloud { columns, ..cloud }, Some(size)))
}

fn voxels(groups: &Groups, positions: &[Vec3], normals: Option<&[Vec3]>) -> Result<Vec<Voxel>, Failure> {
    let count = groups.len();
    let mut voxels = Vec::new();
    voxels.try_reserve_exact(count).map_err(|_| Failure::out_of_memory(count as u64))?;
    voxels.extend(groups.iter().map(|group| {
        let at = |index: usize| positions.get(index).copied().unwrap_or_default();
        // Relative to one of them, or the sum of many large numbers would lose the small differences.
        let origin = group.clone().next().map(at).unwrap_or_default();
        let offsets = group.clone().fold([0.0; 3], |sum, index| add(sum, sub(at(index), origin)));
        let centroid = add(origin, scale(offsets, 1.0 / group.clone().count().max(1) as f64));
        let distance =
            |index: usize| sub(at(index), centroid).into_iter().map(|value| value * value).sum::<f64>();
        let nearest = group.clone().min_by(|a, b| distance(*a).total_cmp(&distance(*b))).unwrap_or_default();
        let normal = normals.and_then(|normals| {
            unit(group.filter_map(|index| unit(*normals.get(index)?)).fold([0.0; 3], add))
        });
        Voxel { centroid, normal, nearest }
    }));
    Ok(voxels)
}

/// The column after thinning.
fn merge(column: &Column, groups: &Groups, voxels: &[Voxel]) -> Result<Values, Failure> {
    let old = &column.values;
    let mut new = Values::new(old.kind());
    new.reserve(voxels.len())?;
    let mean = |group: &mut dyn Iterator<Item = usize>| {
        let (sum, count) =
            group.map(|index| old.at(index)).fold((0.0, 0.0), |(sum, n), value| (sum + value, n + 1.0));
        sum / f64::max(count, 1.0)
    };
    for (mut group, voxel) in groups.iter().zip(voxels) {
        let value = match column.role {
            Role::Position(axis) => *voxel.centroid.get(axis).unwrap_or(&0.0),
            Role::Normal(axis) => voxel
                .normal
                .and_then(|normal| normal.get(axis).copied())
                .unwrap_or_else(|| old.at(voxel.nearest)),
            Role::Colour(_) => mean(&mut group),
            Role::Other => old.at(voxel.nearest),
        };
        new.push_rounded(value);
    }
    Ok(new)
}
