//! `preview.png`: a picture of the points as if they were a surface.
//!
//! Each point is a small disc that lies in the surface (see [`splat`]), lit where it stands (see
//! [`light`]); discs that overlap are blended, so that the surface is smooth. The picture is drawn at
//! twice its size, gets darker where the depth says that something is in a hollow (see [`occlusion`]),
//! stands on a ground with a soft shadow (see [`ground`]), and is scaled down.

mod camera;
mod ground;
mod light;
mod occlusion;
mod picture;
mod splat;
#[cfg(test)]
mod tests;

use crate::cloud::Cloud;
use crate::failure::Failure;
use crate::normals::{Surface, surfaces};
use crate::params::Axis;
use crate::progress::Progress;
use crate::vec3::{Vec3, dot, scale, unit};
use camera::Camera;
use splat::{Canvas, Disc};

/// The size of the picture in pixels.
pub(crate) const WIDTH: usize = 1280;
/// See [`WIDTH`].
pub(crate) const HEIGHT: usize = 960;
/// Each pixel is the mean of so many samples in each direction.
const SAMPLES: usize = 2;
/// A disc reaches a little beyond the neighbour that gave the spacing, so that there are no holes.
const OVERLAP: f64 = 0.92;
/// A lonely point's disc is not larger than this many times the average one.
const LARGEST: f64 = 1.2;
/// Points that lie close together by chance leave gaps around them: no disc is smaller than this.
const SMALLEST: f64 = 0.65;
/// Nor than this part of the cloud's size: a handful of points is a handful of dots.
const WIDEST: f64 = 0.03;
/// How much discs shrink where the surface is not flat.
const BEND: f64 = 3.0;
/// Where a cloud has no normals of its own at a point.
const FALLBACK: Vec3 = [0.0, 0.0, 1.0];

/// Draws the cloud with `up` pointing up, as a PNG file.
///
/// # Errors
/// What [`Progress`] fails with.
pub(crate) fn render(cloud: &Cloud, up: Axis, progress: &mut Progress<'_>) -> Result<Vec<u8>, Failure> {
    progress.stage("normals", 0.7, 0.8)?;
    let positions = cloud.positions()?;
    let colours = cloud.colours()?;
    let own_normals = cloud.normals()?;
    let surfaces = surfaces(&positions, progress)?;

    progress.stage("preview", 0.8, 0.98)?;
    let camera = Camera::facing(&positions, up, (WIDTH * SAMPLES) as f64, (HEIGHT * SAMPLES) as f64);
    let usual = usual_spacing(surfaces.iter().map(|surface| surface.spacing));
    let lights = light::Lights::new(&camera);
    let disc = |index: usize| {
        let (position, surface) = (positions.get(index)?, surfaces.get(index)?);
        let own = own_normals.as_ref().and_then(|normals| unit(*normals.get(index)?));
        let normal = camera.towards(own.unwrap_or(surface.normal), *position);
        let colour =
            colours.as_ref().and_then(|colours| colours.get(index)).map_or(light::CLAY, light::linear);
        Some(Disc {
            centre: camera.view(*position),
            normal: camera.turn(normal),
            radius: radius(surface, usual).min(camera.size * WIDEST).max(camera.finest()),
            light: lights.shine(normal, camera.direction_from(*position), colour),
        })
    };

    let mut canvas = Canvas::new(WIDTH * SAMPLES, HEIGHT * SAMPLES, camera.focal, camera.shift)?;
    for index in 0..positions.len() {
        disc(index).iter().for_each(|disc| canvas.cover(disc));
        progress.tick(index, positions.len() * 3)?;
    }
    for index in 0..positions.len() {
        disc(index).iter().for_each(|disc| canvas.paint(disc));
        progress.tick(positions.len() + index, positions.len() * 3)?;
    }
    let shade = occlusion::shade(&canvas, camera.size * 0.035, SAMPLES);
    progress.look(5, 6)?;
    let ground = ground::Ground::under(&positions, &camera, up);
    let pixels = picture::develop(&canvas, &shade, &ground, &camera, (WIDTH, HEIGHT), SAMPLES);
    Ok(picture::png(&pixels, WIDTH, HEIGHT)?)
}

/// How large a disc is: it closes the gaps, but where the surface bends it would stick out.
fn radius(surface: &Surface, usual: f64) -> f64 {
    let flat = (1.0 - BEND * surface.bend).max(0.5);
    (OVERLAP * surface.spacing * flat).clamp(usual * SMALLEST, usual * LARGEST)
}

/// The median of the spacings that are not 0.
fn usual_spacing(spacings: impl Iterator<Item = f64>) -> f64 {
    let mut spacings: Vec<f64> = spacings.filter(|spacing| *spacing > 0.0).collect();
    spacings.sort_unstable_by(f64::total_cmp);
    spacings.get(spacings.len() / 2).copied().unwrap_or(0.0)
}
