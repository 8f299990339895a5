//! Normals, and how far apart the points are, from the points alone.

use crate::failure::Failure;
use crate::neighbours::{Neighbours, Spot};
use crate::progress::Progress;
use crate::vec3::{Vec3, add, cross, dot, scale, sub, unit};

/// A plane is fitted to this many points: few, for a thin cloud's details are hardly larger.
const PLANE: usize = 14;
/// As [`PLANE`], for clouds of more than [`DENSE`] points: there, noise is larger than the spacing.
const DENSE_PLANE: usize = 26;
const DENSE: usize = 100_000;
/// The distance to this neighbour says how dense the points are.
const SPACING: usize = 6;

/// What a point's surroundings look like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Surface {
    /// Across the plane through the nearest points, with length 1; to which side is not known.
    pub normal: Vec3,
    /// The distance to the 6th neighbour; 0 if all points are at one place.
    pub spacing: f64,
    /// How far from flat the surroundings are: 0 on a plane, 1/3 where points spread in all directions.
    pub bend: f64,
}

/// Looks at the surroundings of each point.
///
/// # Errors
/// What [`Progress`] fails with.
pub(crate) fn surfaces(positions: &[Vec3], progress: &mut Progress<'_>) -> Result<Vec<Surface>, Failure> {
    let tree = Neighbours::of(positions, progress)?;
    let mut surfaces = Vec::with_capacity(positions.len());
    let count = if positions.len() > DENSE { DENSE_PLANE } else { PLANE };
    let mut near = Vec::with_capacity(count);
    for (index, position) in positions.iter().enumerate() {
        near.clear();
        near.extend(tree.nearest(position, count)?);
        let spacing = near.get(SPACING).or(near.last()).map_or(0.0, |(squared, _)| squared.sqrt());
        let (normal, bend) = plane(&near).unwrap_or(([0.0, 0.0, 1.0], 0.0));
        surfaces.push(Surface { normal, spacing, bend });
        progress.tick(index, positions.len())?;
    }
    Ok(surfaces)
}

/// The normal of the plane nearest to some points (the direction in which they are spread least), and
/// the part of their spread that is along it. Far points count less.
fn plane(near: &[(f64, Spot)]) -> Option<(Vec3, f64)> {
    let farthest = near.last()?.0 * 1.2;
    let weighted = || near.iter().map(|(squared, spot)| (1.0 - squared / farthest, spot.position));
    let origin = near.first()?.1.position;
    let total: f64 = weighted().map(|(weight, _)| weight).sum();
    let sum = weighted().fold([0.0; 3], |sum, (weight, point)| add(sum, scale(sub(point, origin), weight)));
    let mean = add(origin, scale(sum, 1.0 / total));
    let mut covariance = [[0.0; 3]; 3];
    for (weight, point) in weighted() {
        let offset = sub(point, mean);
        for (row, a) in covariance.iter_mut().zip(offset) {
            for (sum, b) in row.iter_mut().zip(offset) {
                *sum += weight * a * b;
            }
        }
    }
    least_direction(covariance)
}

/// The eigenvector of the smallest eigenvalue of a symmetric matrix, and what part that is of all three;
/// none if the matrix is 0.
///
/// The eigenvalue `e` comes from the trigonometric solution of the cubic. The rows of `m - e` are all
/// across the eigenvector, so the cross product of two of them is along it.
fn least_direction(m: [[f64; 3]; 3]) -> Option<(Vec3, f64)> {
    let trace = m[0][0] + m[1][1] + m[2][2];
    if !(trace > 0.0 && trace.is_finite()) {
        return None;
    }
    // Of size 1, so that the same thresholds hold for scans in millimetres and in kilometres.
    let m = m.map(|row| scale(row, 3.0 / trace));
    let off = m[0][1].powi(2) + m[0][2].powi(2) + m[1][2].powi(2);
    let spread = (m[0][0] - 1.0).powi(2) + (m[1][1] - 1.0).powi(2) + (m[2][2] - 1.0).powi(2) + 2.0 * off;
    let p = (spread / 6.0).sqrt();
    if p < 1e-9 {
        return None;
    }
    let minus = |e: f64| {
        let mut rows = m;
        rows[0][0] -= e;
        rows[1][1] -= e;
        rows[2][2] -= e;
        rows
    };
    let b = minus(1.0).map(|row| scale(row, 1.0 / p));
    let r = (dot(b[0], cross(b[1], b[2])) / 2.0).clamp(-1.0, 1.0);
    let least = 1.0 + 2.0 * p * (r.acos() / 3.0 + std::f64::consts::TAU / 3.0).cos();
    let [x, y, z] = minus(least);
    let products = [cross(x, y), cross(y, z), cross(z, x)];
    let best = products.into_iter().max_by(|a, b| dot(*a, *a).total_cmp(&dot(*b, *b)))?;
    if dot(best, best) > 1e-18 {
        return Some((unit(scale(best, 1e6))?, least.max(0.0) / 3.0));
    }
    // Points on a line: the rows are along it, and anything across it will do.
    let line = unit([x, y, z].into_iter().max_by(|a, b| dot(*a, *a).total_cmp(&dot(*b, *b)))?)?;
    let flattest = if line[0].abs() < 0.6 { [1.0, 0.0, 0.0] } else { [0.0, 1.0, 0.0] };
    Some((unit(cross(line, flattest))?, 0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The normal at the first point.
    fn normal(points: &[Vec3]) -> Option<Vec3> {
        let first = *points.first()?;
        let mut near: Vec<(f64, Spot)> = points
            .iter()
            .map(|point| (dot(sub(*point, first), sub(*point, first)), Spot { position: *point, copies: 1 }))
            .collect();
        near.sort_by(|a, b| a.0.total_cmp(&b.0));
        plane(&near).map(|(normal, _)| normal)
    }

    #[test]
    fn a_tilted_plane_has_its_normal_at_any_scale() {
        let Some(expected) = unit([1.0, 2.0, -3.0]) else { unreachable!() };
        for size in [1e-6, 1.0, 1e6] {
            // z = (x + 2 y) / 3
            let points: Vec<Vec3> = (0..16)
                .map(|index| (f64::from(index % 4) * size, f64::from(index / 4) * size))
                .map(|(x, y)| [x, y, (x + 2.0 * y) / 3.0])
                .collect();
            let found = normal(&points).unwrap_or_default();
            assert!(
                (dot(found, expected).abs() - 1.0).abs() < 1e-6,
                "at {size}: {found:?} is not {expected:?}"
            );
        }
    }

    #[test]
    fn points_on_a_line_have_a_normal_across_it() {
        let points: Vec<Vec3> = (0..9).map(|index| [f64::from(index), f64::from(index), 0.0]).collect();
        let found = normal(&points).unwrap_or_default();
        assert!(dot(found, [1.0, 1.0, 0.0]).abs() < 1e-3, "{found:?} is not across the line");
    }

    #[test]
    fn one_place_has_no_normal() {
        assert_eq!(normal(&[[1.0; 3]; 4]), None);
    }
}
