//! From samples to a PNG file.

use std::io;

use super::ground::Ground;
use super::splat::Canvas;
use super::*;

/// The colours of the background (linear): above, below and in the corners.
const SKY: [f32; 3] = [0.80, 0.83, 0.87];
const FLOOR: [f32; 3] = [0.55, 0.57, 0.60];

/// Scales down, darkens by `shade`, puts the background behind and gives sRGB, three bytes a pixel.
pub(super) fn develop(
    canvas: &Canvas,
    shade: &[f32],
    ground: &Ground,
    camera: &Camera,
    (width, height): (usize, usize),
    samples: usize,
) -> Vec<u8> {
    let curve = Curve::new();
    let mut pixels = Vec::with_capacity(width * height * 3);
    for row in 0..height {
        for column in 0..width {
            let (mut light, mut covered) = ([0.0_f32; 3], 0.0_f32);
            for index in 0..samples * samples {
                let (x, y) = (column * samples + index % samples, row * samples + index / samples);
                let Some(sample) = canvas.samples.get(y * canvas.width + x) else { continue };
                if sample.weight > 0.0 {
                    for (sum, value) in light.iter_mut().zip(sample.light) {
                        *sum += tone(value / sample.weight);
                    }
                    covered += 1.0;
                }
            }
            let dim = shade.get(row * width + column).copied().unwrap_or(1.0);
            let (count, uncovered) = ((samples * samples) as f32, (samples * samples) as f32 - covered);
            let behind = if uncovered > 0.0 {
                background(column, row, (width, height), samples, ground, camera)
            } else {
                [0.0; 3]
            };
            pixels.extend(
                light
                    .iter()
                    .zip(behind)
                    .map(|(light, behind)| curve.encode((light * dim + behind * uncovered) / count)),
            );
        }
    }
    pixels
}

/// What is seen where nothing is: a studio that gets darker downwards and to the corners, and the shadow.
fn background(
    column: usize,
    row: usize,
    (width, height): (usize, usize),
    samples: usize,
    ground: &Ground,
    camera: &Camera,
) -> [f32; 3] {
    let (x, y) = (column as f32 / width as f32 - 0.5, row as f32 / height as f32);
    let blend = y * y * (3.0 - 2.0 * y);
    let corner = 1.0 - 0.55 * (x * x + (y - 0.45) * (y - 0.45));
    let (eye, direction) = camera.ray((column * samples) as f64 + 1.0, (row * samples) as f64 + 1.0);
    let light = ground.light(eye, direction) as f32 * corner;
    let mut colour = [0.0; 3];
    for ((value, sky), floor) in colour.iter_mut().zip(SKY).zip(FLOOR) {
        *value = (sky * (1.0 - blend) + floor * blend) * light;
    }
    colour
}

/// Bends very bright light so that it is not cut off.
fn tone(value: f32) -> f32 {
    const SHOULDER: f32 = 0.7;
    if value <= SHOULDER {
        value
    } else {
        1.0 - (1.0 - SHOULDER) * (-(value - SHOULDER) / (1.0 - SHOULDER)).exp()
    }
}

/// How many values of linear light are told apart: where the curve is steepest, five of them are one byte.
const SHADES: usize = 1 << 14;

/// The curve of sRGB, in a table: a power for each pixel and colour would take longer than all else that makes it.
struct Curve(Vec<u8>);

impl Curve {
    fn new() -> Self {
        let byte = |light: f32| {
            let curved =
                if light <= 0.003_130_8 { light * 12.92 } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 };
            (curved * 255.0).round() as u8
        };
        Self((0..SHADES).map(|shade| byte(shade as f32 / (SHADES - 1) as f32)).collect())
    }

    /// Linear light as a byte of sRGB.
    fn encode(&self, light: f32) -> u8 {
        let shade = (light.clamp(0.0, 1.0) * (SHADES - 1) as f32).round() as usize;
        self.0.get(shade).copied().unwrap_or_default()
    }
}

/// The PNG file of a picture.
///
/// # Errors
/// If `pixels` are not three bytes for each pixel.
pub(super) fn png(pixels: &[u8], width: usize, height: usize) -> io::Result<Vec<u8>> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_source_srgb(png::SrgbRenderingIntent::Perceptual);
    let mut writer = encoder.write_header().map_err(io::Error::other)?;
    writer.write_image_data(pixels).map_err(io::Error::other)?;
    writer.finish().map_err(io::Error::other)?;
    Ok(file)
}
