//! How points are lit.

use super::*;
use crate::vec3::add;

/// The colour of points that have none (linear).
pub(super) const CLAY: Vec3 = [0.50, 0.36, 0.23];

/// A light far away.
struct Light {
    /// Towards it.
    direction: Vec3,
    /// Its linear red, green and blue.
    colour: Vec3,
}

/// The studio: three lights that stand still while the cloud turns, and light from all around.
pub(super) struct Lights {
    lights: [Light; 3],
    /// Where the picture's up is.
    up: Vec3,
}

impl Lights {
    /// Puts the lights around a camera.
    pub(super) fn new(camera: &Camera) -> Self {
        let light = |direction: Vec3, colour| Light {
            direction: camera.turn_back(unit(direction).unwrap_or(FALLBACK)),
            colour,
        };
        Self {
            lights: [
                light([-0.60, 0.75, 0.50], [1.55, 1.44, 1.25]),
                light([0.85, 0.15, 0.55], [0.26, 0.30, 0.38]),
                light([0.30, 0.45, -0.85], [0.55, 0.58, 0.62]),
            ],
            up: camera.turn_back([0.0, 1.0, 0.0]),
        }
    }

    /// The light that a surface of this normal and colour sends to the `eye`.
    pub(super) fn shine(&self, normal: Vec3, eye: Vec3, colour: Vec3) -> [f32; 3] {
        let sky = 0.5 + 0.5 * dot(normal, self.up);
        let mut diffuse = add(scale([0.26, 0.29, 0.34], sky), scale([0.13, 0.10, 0.08], 1.0 - sky));
        let mut gloss = [0.0; 3];
        for light in &self.lights {
            let lambert = dot(normal, light.direction).max(0.0);
            diffuse = add(diffuse, scale(light.colour, lambert * 0.8));
            let halfway = unit(add(light.direction, eye)).unwrap_or(normal);
            let highlight = dot(normal, halfway).max(0.0).powi(36) * lambert;
            gloss = add(gloss, scale(light.colour, highlight * 0.22));
        }
        let [red, green, blue] = [0, 1, 2].map(|channel: usize| {
            let at = |values: Vec3| values.get(channel).copied().unwrap_or_default();
            (at(colour) * at(diffuse) + at(gloss)) as f32
        });
        [red, green, blue]
    }
}

/// An sRGB colour from 0 to 1 as linear light.
pub(super) fn linear(colour: &Vec3) -> Vec3 {
    colour.map(|value| if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) })
}
