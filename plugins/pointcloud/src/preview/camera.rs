//! Where the picture is taken from.

use super::*;
use crate::vec3::{Bounds, add, cross, sub};

/// From how far, in diagonals of the cloud: far enough for a calm perspective.
const DISTANCE: f64 = 2.4;
/// How far round from the front, in radians.
const AROUND: f64 = 0.42;
/// How far above the horizon.
const ABOVE: f64 = 0.30;
/// How much of the picture's width and height the cloud fills at most.
const FILL: (f64, f64) = (0.80, 0.74);
/// Of each hundred points this many may lie outside the frame at each side: strays would shrink the rest.
const STRAYS: f64 = 0.002;

/// A camera that looks at a cloud from the front, a little from the side and from above.
#[derive(Debug, Clone)]
pub(super) struct Camera {
    /// The position of the camera.
    eye: Vec3,
    /// What is to the right in the picture, upwards in it and towards the camera.
    axes: [Vec3; 3],
    /// How many pixels one unit at a distance of one unit is.
    pub focal: f64,
    /// The pixel that lies straight ahead.
    pub shift: (f64, f64),
    /// The diagonal of the cloud.
    pub size: f64,
}

impl Camera {
    /// Finds the place. The wider horizontal side of the cloud is its front.
    pub(super) fn facing(positions: &[Vec3], up: Axis, width: f64, height: f64) -> Self {
        let bounds = Bounds::of(positions).unwrap_or(Bounds { min: [0.0; 3], max: [0.0; 3] });
        let extent = bounds.extent();
        let size = dot(extent, extent).sqrt();
        let size = if size > 0.0 { size } else { 1.0 };
        let (up, right, front) = match up {
            Axis::X => ([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, -1.0]),
            Axis::Y => ([0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]),
            Axis::Z => ([0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]),
        };
        let wide = dot(extent, right).abs() >= dot(extent, front).abs();
        let (right, front) = if wide { (right, front) } else { (scale(front, -1.0), right) };
        let level = add(scale(front, AROUND.cos()), scale(right, AROUND.sin()));
        let back = unit(add(scale(level, ABOVE.cos()), scale(up, ABOVE.sin()))).unwrap_or(front);
        let side = unit(cross(up, back)).unwrap_or(right);
        let axes = [side, cross(back, side), back];
        let eye = add(bounds.centre(), scale(back, DISTANCE * size));
        let mut camera = Self { eye, axes, focal: 1.0, shift: (0.0, 0.0), size };
        camera.frame(positions, width, height);
        camera
    }

    /// Sets `focal` and `shift` so that the cloud fills the frame.
    fn frame(&mut self, positions: &[Vec3], width: f64, height: f64) {
        let seen = positions.iter().map(|position| self.view(*position));
        let (mut xs, mut ys): (Vec<f64>, Vec<f64>) =
            seen.map(|[x, y, depth]| (x / depth, -y / depth)).unzip();
        let (left, right) = span(&mut xs);
        let (top, bottom) = span(&mut ys);
        let tightest = 1e-3 / DISTANCE;
        self.focal = (FILL.0 * width / (right - left).max(tightest))
            .min(FILL.1 * height / (bottom - top).max(tightest));
        self.shift = (
            width / 2.0 - self.focal * (left + right) / 2.0,
            height * 0.49 - self.focal * (top + bottom) / 2.0,
        );
    }

    /// A position as the camera sees it: right, up and the distance ahead.
    pub(super) fn view(&self, position: Vec3) -> Vec3 {
        let [x, y, z] = self.turn(sub(position, self.eye));
        [x, y, -z]
    }

    /// A direction in the picture's axes: right, up and towards the camera.
    pub(super) fn turn(&self, direction: Vec3) -> Vec3 {
        self.axes.map(|axis| dot(axis, direction))
    }

    /// A direction of the picture's axes in the cloud's.
    pub(super) fn turn_back(&self, direction: Vec3) -> Vec3 {
        let [side, up, back] = self.axes;
        add(add(scale(side, direction[0]), scale(up, direction[1])), scale(back, direction[2]))
    }

    /// The direction from a position to the camera.
    pub(super) fn direction_from(&self, position: Vec3) -> Vec3 {
        unit(sub(self.eye, position)).unwrap_or(FALLBACK)
    }

    /// The normal or its opposite, whichever faces the camera.
    pub(super) fn towards(&self, normal: Vec3, position: Vec3) -> Vec3 {
        if dot(normal, sub(self.eye, position)) < 0.0 { scale(normal, -1.0) } else { normal }
    }

    /// The camera's place, and the direction in which a pixel lies (not of length 1).
    pub(super) fn ray(&self, x: f64, y: f64) -> (Vec3, Vec3) {
        let direction = [(x - self.shift.0) / self.focal, (self.shift.1 - y) / self.focal, -1.0];
        (self.eye, self.turn_back(direction))
    }

    /// The radius in the cloud's units of a disc of three pixels: a smaller one would show no detail, only
    /// gaps.
    pub(super) fn finest(&self) -> f64 {
        7.0 * DISTANCE * self.size / self.focal
    }
}

/// From where to where values reach, without the strays.
fn span(values: &mut [f64]) -> (f64, f64) {
    values.sort_unstable_by(f64::total_cmp);
    let skip = (values.len() as f64 * STRAYS) as usize;
    let at = |index: usize| values.get(index).copied().unwrap_or(0.0);
    (at(skip), at(values.len().saturating_sub(1 + skip)))
}
