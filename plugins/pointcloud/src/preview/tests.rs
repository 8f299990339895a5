#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::cloud::{Column, Role, ScalarType, Values};
use crate::progress::Control;

struct Nobody;
impl Control for Nobody {
    fn progress(&mut self, _: f64, _: &str) {}
    fn cancelled(&mut self) -> bool {
        false
    }
}

fn cloud(points: &[Vec3]) -> Cloud {
    let column = |axis: usize, name: &str| {
        let mut values = Values::new(ScalarType::Double);
        points.iter().for_each(|point| values.push(point[axis]));
        Column { name: name.into(), role: Role::of(name), values }
    };
    Cloud { columns: vec![column(0, "x"), column(1, "y"), column(2, "z")], ..Cloud::default() }
}

/// The pixels of the picture, after it went through a PNG file.
fn picture(points: &[Vec3], up: Axis) -> Vec<[u8; 3]> {
    let png = render(&cloud(points), up, &mut Progress::new(&mut Nobody)).unwrap();
    let mut reader = png::Decoder::new(std::io::Cursor::new(png)).read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    assert_eq!(
        (info.width as usize, info.height as usize, info.color_type),
        (WIDTH, HEIGHT, png::ColorType::Rgb)
    );
    bytes.chunks_exact(3).map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect()
}

/// The share of pixels in the colour of clay: red well above blue. The background is bluish.
fn clay(pixels: &[[u8; 3]]) -> f64 {
    let warm = pixels.iter().filter(|[red, _, blue]| i32::from(*red) > i32::from(*blue) + 8).count();
    warm as f64 / pixels.len() as f64
}

fn sphere(count: u32, size: f64) -> Vec<Vec3> {
    let point = |index: u32| {
        let z = 1.0 - (2.0 * f64::from(index) + 1.0) / f64::from(count);
        let (radius, angle) = ((1.0 - z * z).sqrt(), f64::from(index) * 2.399_963);
        [size * radius * angle.cos(), size * radius * angle.sin(), size * z]
    };
    (0..count).map(point).collect()
}

#[test]
fn a_sphere_fills_its_part_of_the_picture_without_holes_at_any_scale() {
    for size in [1e-4, 1.0, 1e5] {
        let pixels = picture(&sphere(4000, size), Axis::Y);
        // A circle of 74 % of the height.
        let circle = std::f64::consts::PI * (0.37 * HEIGHT as f64).powi(2) / (WIDTH * HEIGHT) as f64;
        let seen = clay(&pixels);
        assert!(
            (circle * 0.93..circle * 1.1).contains(&seen),
            "{seen} of the picture at {size}, expected {circle}"
        );
        let centre = pixels[HEIGHT * 49 / 100 * WIDTH + WIDTH / 2];
        assert!(centre[0] > centre[2], "the background shines through: {centre:?}");
    }
}

#[test]
fn a_sphere_is_lit_from_above() {
    let pixels = picture(&sphere(4000, 1.0), Axis::Z);
    let at = |row: usize| u32::from(pixels[row * HEIGHT / 100 * WIDTH + WIDTH / 2][1]);
    assert!(at(25) > at(80) + 30, "top {} is not brighter than bottom {}", at(25), at(80));
}

#[test]
fn odd_clouds_still_make_a_picture() {
    let one = picture(&[[1.0, 2.0, 3.0]], Axis::X);
    assert!(clay(&one) > 0.0, "one point is not seen");
    assert!(clay(&picture(&[[5.0; 3]; 20], Axis::Y)) > 0.0, "points at one place are not seen");
    let line: Vec<Vec3> = (0..50).map(|index| [f64::from(index), 0.0, 0.0]).collect();
    assert!(clay(&picture(&line, Axis::Y)) > 0.0005, "a line is not seen");
}
