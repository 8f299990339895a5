#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use super::*;
use crate::cloud::ScalarType;
use crate::progress::Control;
use crate::voxel::Groups;

struct Nobody;
impl Control for Nobody {
    fn progress(&mut self, _: f64, _: &str) {}
    fn cancelled(&mut self) -> bool {
        false
    }
}

fn cloud(columns: &[(&str, ScalarType, &[f64])]) -> Cloud {
    let column = |(name, kind, values): &(&str, ScalarType, &[f64])| {
        let mut column = Column { name: (*name).into(), role: Role::of(name), values: Values::new(*kind) };
        values.iter().for_each(|value| column.values.push(*value));
        column
    };
    Cloud { columns: columns.iter().map(column).collect(), ..Cloud::default() }
}

fn thinned(cloud: Cloud, thinning: Thinning) -> (Cloud, Option<f64>) {
    thin(cloud, thinning, &mut Progress::new(&mut Nobody)).unwrap()
}

fn values(cloud: &Cloud, name: &str) -> Vec<f64> {
    let column = cloud.columns.iter().find(|column| column.name == name).unwrap();
    (0..cloud.len()).map(|index| column.values.at(index)).collect()
}

#[test]
fn each_property_is_merged_by_what_it_means() {
    let three = cloud(&[
        ("x", ScalarType::Double, &[0.0, 0.2, 0.7, 5.0]),
        ("y", ScalarType::Double, &[0.0, 0.0, 0.0, 0.0]),
        ("z", ScalarType::Double, &[0.0, 0.0, 0.0, 0.0]),
        ("nx", ScalarType::Float, &[2.0, 0.0, f64::NAN, 0.0]),
        ("ny", ScalarType::Float, &[0.0, 3.0, 1.0, 0.0]),
        ("nz", ScalarType::Float, &[0.0, 0.0, 0.0, -4.0]),
        ("red", ScalarType::UChar, &[10.0, 20.0, 21.0, 255.0]),
        ("label", ScalarType::Int, &[7.0, 8.0, 9.0, -1.0]),
    ]);
    let (thin, size) = thinned(three, Thinning::VoxelSize(1.0));
    assert_eq!(size, Some(1.0));
    assert!((values(&thin, "x")[0] - 0.3).abs() < 1e-12, "0.9 / 3");
    assert_eq!(values(&thin, "x")[1], 5.0);
    // (1, 0, 0) and (0, 1, 0); the one that is no number does not count.
    assert!((values(&thin, "nx")[0] - 0.5_f64.sqrt()).abs() < 1e-6, "{:?}", values(&thin, "nx"));
    assert!((values(&thin, "ny")[0] - 0.5_f64.sqrt()).abs() < 1e-6);
    assert_eq!(values(&thin, "nz"), [0.0, -1.0]);
    assert_eq!(values(&thin, "red"), [17.0, 255.0], "51 / 3");
    assert_eq!(values(&thin, "label"), [8.0, -1.0], "0.2 is nearest to 0.3");
}

#[test]
fn the_order_is_by_voxel_whatever_the_order_of_the_scan() {
    let scan = |order: &[usize]| {
        let at = |axis: usize| order.iter().map(|index| (index >> axis & 1) as f64).collect::<Vec<_>>();
        cloud(&[
            ("x", ScalarType::Float, &at(0)),
            ("y", ScalarType::Float, &at(1)),
            ("z", ScalarType::Float, &at(2)),
        ])
    };
    let (forward, _) = thinned(scan(&[0, 1, 2, 3, 4, 5, 6, 7]), Thinning::VoxelSize(0.5));
    let (shuffled, _) = thinned(scan(&[5, 1, 7, 0, 2, 6, 4, 3]), Thinning::VoxelSize(0.5));
    assert_eq!(forward, shuffled);
    assert_eq!(forward.positions().unwrap()[..3], [[0.0; 3], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]);
}

#[test]
fn a_target_is_met_from_below_and_closely() {
    // Points on a sphere, evenly by the golden angle.
    let points: Vec<[f64; 3]> = (0..10_000)
        .map(|index| {
            let z = 1.0 - (2.0 * f64::from(index) + 1.0) / 10_000.0;
            let (radius, angle) = ((1.0 - z * z).sqrt(), f64::from(index) * 2.399_963);
            [radius * angle.cos(), radius * angle.sin(), z]
        })
        .collect();
    let column = |axis: usize| points.iter().map(|point| point[axis]).collect::<Vec<_>>();
    let sphere = cloud(&[
        ("x", ScalarType::Double, &column(0)),
        ("y", ScalarType::Double, &column(1)),
        ("z", ScalarType::Double, &column(2)),
    ]);
    for target in [1, 10, 500, 4_000, 9_999] {
        let (thin, size) = thinned(sphere.clone(), Thinning::TargetCount(target));
        let count = thin.len();
        assert!(count <= target, "{count} points for a target of {target}");
        assert!(count * 10 >= target * 7, "only {count} points for a target of {target} (voxel {size:?})");
    }
    let (same, size) = thinned(sphere.clone(), Thinning::TargetCount(10_000));
    assert!(same == sphere && size.is_none(), "few enough points stay as they are");
}

#[test]
fn all_points_at_one_place_become_one() {
    let copies = cloud(&[
        ("x", ScalarType::Float, &[3.0; 9]),
        ("y", ScalarType::Float, &[4.0; 9]),
        ("z", ScalarType::Float, &[5.0; 9]),
    ]);
    assert_eq!(thinned(copies.clone(), Thinning::TargetCount(2)).0.positions().unwrap(), [[3.0, 4.0, 5.0]]);
    assert_eq!(thinned(copies, Thinning::VoxelSize(1e-9)).0.len(), 1);
}

#[test]
fn a_voxel_that_is_absurdly_small_is_refused_with_what_is_possible() {
    match Groups::of(&[[0.0; 3], [1.0; 3]], 1e-15) {
        Err(Failure::InvalidTask(what)) => assert!(what.contains("use at least"), "{what}"),
        _ => panic!("expected a refusal"),
    }
}
