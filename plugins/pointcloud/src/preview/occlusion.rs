//! How much of the light from around reaches a place, guessed from the depths.
//!
//! Pairs of opposite samples are compared with the middle. On a plane, whatever its slope, one is as much
//! nearer as the other is farther; in a hollow both are nearer. So the mean of the two says how hollow
//! a place is.

use super::splat::Canvas;

/// Pairs a pixel and radius.
const PAIRS: usize = 8;
/// The golden angle spreads the pairs evenly.
const GOLDEN: f32 = 2.399_963;
/// Noise is averaged over a square of this many pixels.
const SMOOTH: usize = 5;

/// For each pixel (of `samples` by `samples` samples) how much light is left, from 0 to 1. `radius` is how far
/// around a place matters, in the cloud's units.
pub(super) fn shade(canvas: &Canvas, radius: f64, samples: usize) -> Vec<f32> {
    let (width, height) = (canvas.width / samples, canvas.height / samples);
    let depth_at =
        |x: usize, y: usize| canvas.depths.get(y * canvas.width + x).copied().unwrap_or(f32::INFINITY);
    // The pairs' directions, to be turned by each pixel's noise: an angle's sine takes longer than a turn.
    let turns: [_; PAIRS] = std::array::from_fn(|pair| (pair as f32 * GOLDEN).sin_cos());
    let mut hollow = Vec::with_capacity(width * height);
    for row in 0..height {
        for column in 0..width {
            let (x, y) = (column * samples + samples / 2, row * samples + samples / 2);
            let depth = depth_at(x, y);
            if !depth.is_finite() {
                hollow.push(0.0);
                continue;
            }
            // Interleaved gradient noise: neighbours differ much, squares of them hardly.
            let noise =
                (52.982_918 * (0.067_110_56 * column as f32 + 0.005_837_15 * row as f32).fract()).fract();
            let (sin, cos) = (noise * GOLDEN).sin_cos();
            let mut sum = 0.0;
            for (pair, (turn_sin, turn_cos)) in turns.iter().enumerate() {
                let (along, across) = (cos * turn_cos - sin * turn_sin, sin * turn_cos + cos * turn_sin);
                let length = ((pair as f32 + 0.3 + 0.7 * noise) / PAIRS as f32).sqrt();
                for range in [radius as f32, radius as f32 * 3.0] {
                    let reach = range * canvas.focal as f32 / depth * length;
                    let (dx, dy) = (along * reach, across * reach);
                    let nearer = |dx: f32, dy: f32| {
                        let (x, y) = (x as f32 + dx, y as f32 + dy);
                        if x < 0.0 || y < 0.0 || x >= canvas.width as f32 {
                            return -range;
                        }
                        let difference = depth - depth_at(x as usize, y as usize);
                        // What is much nearer belongs to something else, in front of this.
                        if difference > 2.0 * range { -range } else { difference.clamp(-range, range) }
                    };
                    sum += ((nearer(dx, dy) + nearer(-dx, -dy)) / (2.0 * range)).max(0.0);
                }
            }
            hollow.push(sum / (2 * PAIRS) as f32);
        }
    }
    smooth(&hollow, width, height).into_iter().map(|value| (1.0 - 3.4 * value).clamp(0.12, 1.0)).collect()
}

/// The mean over squares, by rows and then by columns.
fn smooth(values: &[f32], width: usize, height: usize) -> Vec<f32> {
    let across = |values: &[f32], width: usize, height: usize, step: usize, line: usize| {
        let mut means = vec![0.0; values.len()];
        for row in 0..height {
            for column in 0..width {
                let from = column.saturating_sub(SMOOTH / 2);
                let to = (column + SMOOTH / 2 + 1).min(width);
                let sum: f32 = (from..to).filter_map(|column| values.get(row * line + column * step)).sum();
                if let Some(mean) = means.get_mut(row * line + column * step) {
                    *mean = sum / (to - from) as f32;
                }
            }
        }
        means
    };
    let rows = across(values, width, height, 1, width);
    across(&rows, height, width, width, 1)
}
