//! Nearest neighbours.
//!
//! `kdtree` finds them: a small crate without a build script or a host-dependent code path, and fast
//! enough here (the 16 nearest of each of 437,645 points in seconds, within the sandbox). `kiddo` is
//! some four times as fast, but brings a dozen crates and looks at the building machine's processor.
//! What `kdtree` does badly is many points at one place, which real scans have: they all end in one
//! leaf. So each place goes in once, with the number of points there.

use kdtree::KdTree;
use kdtree::distance::squared_euclidean;

use crate::failure::Failure;
use crate::progress::Progress;
use crate::vec3::Vec3;

/// A position that one or more points of the cloud share.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spot {
    /// The position, in the units of the scan.
    pub position: Vec3,
    /// Number of points at this position.
    pub copies: usize,
}

/// A search tree over points.
pub(crate) struct Neighbours(KdTree<f64, Spot, Vec3>);

impl Neighbours {
    /// Builds the tree.
    ///
    /// # Errors
    /// [`Failure::Failed`] if a position is not finite, and what [`Progress`] fails with.
    pub(crate) fn of(positions: &[Vec3], progress: &mut Progress<'_>) -> Result<Self, Failure> {
        let mut sorted = positions.to_vec();
        sorted.sort_unstable_by(|a, b| {
            a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])).then(a[2].total_cmp(&b[2]))
        });
        let mut tree = KdTree::new(3);
        let mut done = 0;
        for same in sorted.chunk_by(|a, b| a == b) {
            let Some(&position) = same.first() else { continue };
            tree.add(position, Spot { position, copies: same.len() }).map_err(failed)?;
            done += 1;
            progress.tick(done, usize::MAX)?;
        }
        Ok(Self(tree))
    }

    /// The `count` nearest places, nearest first, each with its squared distance. A point's own place is
    /// among them.
    ///
    /// # Errors
    /// [`Failure::Failed`] if `position` is not finite.
    pub(crate) fn nearest(
        &self,
        position: &Vec3,
        count: usize,
    ) -> Result<impl Iterator<Item = (f64, Spot)> + use<'_>, Failure> {
        let found = self.0.nearest(position, count, &squared_euclidean).map_err(failed)?;
        Ok(found.into_iter().map(|(distance, spot)| (distance, *spot)))
    }
}

fn failed(error: kdtree::ErrorKind) -> Failure {
    Failure::Failed(format!("can't look for nearest neighbours: {error}"))
}
