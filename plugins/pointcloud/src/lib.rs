//! A runner that thins a point cloud: `/posemesh/pointcloud/v1`.
//!
//! It takes one PLY scan, removes outliers if asked to, leaves one point in each voxel of a grid, and makes
//! three artifacts: `points.ply`, `preview.png` and `summary.json`. What a task may ask for is in
//! [`params`].
//!
//! [`pipeline::run`] is all of the work and knows nothing of WebAssembly: it is tested natively, on whole
//! scans. The component is a thin layer around it.

pub mod cloud;
mod component;
pub mod failure;
mod neighbours;
mod normals;
mod outliers;
pub mod params;
pub mod pipeline;
pub mod ply;
mod preview;
pub mod progress;
pub mod summary;
mod thin;
mod vec3;
mod voxel;
