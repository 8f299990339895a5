//! Statistical outlier removal, as PCL and Open3D define it.

use crate::failure::Failure;
use crate::neighbours::Neighbours;
use crate::params::Outliers;
use crate::progress::Progress;
use crate::vec3::Vec3;

/// Says for each point whether it stays: whether its mean distance to its `neighbours` nearest others
/// is at most the mean of these means plus `std_ratio` standard deviations (of a sample).
///
/// # Errors
/// What [`Progress`] fails with.
pub(crate) fn keep(
    positions: &[Vec3],
    params: &Outliers,
    progress: &mut Progress<'_>,
) -> Result<Vec<bool>, Failure> {
    let others = params.neighbours.min(positions.len().saturating_sub(1));
    if others == 0 {
        return Ok(vec![true; positions.len()]);
    }
    let tree = Neighbours::of(positions, progress)?;
    let mut means = Vec::with_capacity(positions.len());
    for (index, position) in positions.iter().enumerate() {
        means.push(mean_distance(&tree, position, others)?);
        progress.tick(index, positions.len())?;
    }
    let count = means.len() as f64;
    let mean = means.iter().sum::<f64>() / count;
    let variance = means.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0);
    let threshold = mean + params.std_ratio * variance.sqrt();
    Ok(means.into_iter().map(|value| value <= threshold).collect())
}

/// The mean distance from a point to `others` points besides itself.
fn mean_distance(tree: &Neighbours, position: &Vec3, others: usize) -> Result<f64, Failure> {
    let (mut left, mut sum) = (others + 1, 0.0);
    for (squared, spot) in tree.nearest(position, others + 1)? {
        let taken = spot.copies.min(left);
        sum += squared.sqrt() * taken as f64;
        left -= taken;
        if left == 0 {
            break;
        }
    }
    Ok(sum / others as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Control;

    struct Nobody;
    impl Control for Nobody {
        fn progress(&mut self, _: f64, _: &str) {}
        fn cancelled(&mut self) -> bool {
            false
        }
    }

    fn kept(positions: &[Vec3], neighbours: usize, std_ratio: f64) -> Vec<bool> {
        let params = Outliers { neighbours, std_ratio };
        keep(positions, &params, &mut Progress::new(&mut Nobody)).unwrap_or_default()
    }

    #[test]
    fn a_far_point_goes_and_the_others_stay() {
        let mut positions: Vec<Vec3> =
            (0..50).map(|index| [f64::from(index % 10), f64::from(index / 10), 0.0]).collect();
        positions.push([100.0, 0.0, 0.0]);
        let kept = kept(&positions, 4, 2.0);
        assert_eq!(kept.iter().filter(|keep| **keep).count(), 50);
        assert_eq!(kept.last(), Some(&false));
    }

    #[test]
    fn points_at_one_place_count_each() {
        // Two points at 0 and three at 1; the two nearest others: 0 is (0 + 1) / 2 away, 1 is 0 away.
        let positions = [0.0, 0.0, 1.0, 1.0, 1.0].map(|x| [x, 0.0, 0.0]);
        // Mean 0.2, sample deviation sqrt(0.3 / 4) = 0.27: 0.5 is 1.10 deviations above.
        assert_eq!(kept(&positions, 2, 1.0), [false, false, true, true, true]);
        assert_eq!(kept(&positions, 2, 1.2), [true; 5]);
    }

    #[test]
    fn thousands_of_points_at_one_place_take_no_time() {
        let positions = vec![[1.0, 2.0, 3.0]; 200_000];
        assert!(kept(&positions, 16, 2.0).into_iter().all(|keep| keep));
    }

    #[test]
    fn one_point_stays() {
        assert_eq!(kept(&[[0.0; 3]], 16, 2.0), [true]);
    }
}
