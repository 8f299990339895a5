#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::Write;

use super::*;
use crate::progress::Control;

pub(super) struct Nobody;
impl Control for Nobody {
    fn progress(&mut self, _: f64, _: &str) {}
    fn cancelled(&mut self) -> bool {
        false
    }
}

pub(super) fn parse(bytes: &[u8]) -> Result<Cloud, Failure> {
    read(bytes, &mut Progress::new(&mut Nobody))
}

/// What is said of a broken file.
pub(super) fn complaint(bytes: &[u8]) -> String {
    match parse(bytes) {
        Err(Failure::InvalidInput(what)) => what,
        other => panic!("expected a broken file, got {other:?}"),
    }
}

const ASCII: &str = "ply\nformat ascii 1.0\ncomment caf\u{e9}\nelement vertex 2\nproperty float x\nproperty double y\n\
    property short z\nproperty list uchar int neighbours\nproperty uchar red\nproperty int8 level\n\
    element face 1\nproperty list uchar int vertex_indices\nend_header\n\
    0.5 1e-300 -7 2 11 12 255 -128\n-.5 2. +8 0 0 127\n3 0 1 1\n";

pub(super) fn columns(cloud: &Cloud) -> Vec<(&str, Vec<f64>)> {
    let values = |column: &Column| (0..column.values.len()).map(|index| column.values.at(index)).collect();
    cloud.columns.iter().map(|column| (column.name.as_str(), values(column))).collect()
}

fn expected() -> Vec<(&'static str, Vec<f64>)> {
    vec![
        ("x", vec![0.5, -0.5]),
        ("y", vec![1e-300, 2.0]),
        ("z", vec![-7.0, 8.0]),
        ("red", vec![255.0, 0.0]),
        ("level", vec![-128.0, 127.0]),
    ]
}

/// The same file in binary.
fn binary(big: bool) -> Vec<u8> {
    let format = if big { "binary_big_endian" } else { "binary_little_endian" };
    let header = ASCII.split_inclusive("end_header\n").next().unwrap().replace("ascii", format);
    let mut bytes = header.into_bytes();
    let mut put = |little: &[u8]| {
        bytes.extend(if big { little.iter().rev().copied().collect() } else { little.to_vec() })
    };
    for (x, y, z, list, red, level) in
        [(0.5_f32, 1e-300_f64, -7_i16, &[11, 12][..], 255, -128_i8), (-0.5, 2.0, 8, &[], 0, 127)]
    {
        put(&x.to_le_bytes());
        put(&y.to_le_bytes());
        put(&z.to_le_bytes());
        put(&[list.len() as u8]);
        list.iter().for_each(|item: &i32| put(&item.to_le_bytes()));
        put(&[red]);
        put(&level.to_le_bytes());
    }
    put(&[3]);
    [0_i32, 1, 1].iter().for_each(|index| put(&index.to_le_bytes()));
    bytes
}

#[test]
fn every_encoding_gives_the_same_columns() {
    assert_eq!(columns(&parse(ASCII.as_bytes()).unwrap()), expected());
    assert_eq!(columns(&parse(ASCII.replace('\n', "\r\n").as_bytes()).unwrap()), expected());
    assert_eq!(columns(&parse(&binary(false)).unwrap()), expected());
    assert_eq!(columns(&parse(&binary(true)).unwrap()), expected());
}

#[test]
fn gzip_is_unpacked_even_in_two_members_and_one_byte_at_a_time() {
    let bytes = binary(false);
    let pack = |part: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(part).unwrap();
        encoder.finish().unwrap()
    };
    let packed = [pack(&bytes[..100]), pack(&bytes[100..])].concat();
    assert_eq!(columns(&parse(&packed).unwrap()), expected());

    let slow = std::io::BufReader::with_capacity(1, &packed[..]);
    assert_eq!(columns(&read(slow, &mut Progress::new(&mut Nobody)).unwrap()), expected());

    let cut = complaint(&packed[..packed.len() - 20]);
    assert!(cut.contains("gzip stream ends too early"), "{cut}");
    let mut broken = pack(&bytes);
    let checksum = broken.len() - 8;
    broken[checksum] ^= 1;
    let what = complaint(&broken);
    assert!(what.starts_with(&format!("byte {}: the gzip stream is broken", bytes.len())), "{what}");
}

#[test]
fn every_prefix_of_a_file_is_refused_with_a_place() {
    for bytes in [ASCII.trim_end().as_bytes().to_vec(), binary(false), binary(true)] {
        for end in 0..bytes.len() {
            let what = complaint(&bytes[..end]);
            assert!(what.starts_with("line ") || what.starts_with("byte "), "prefix of {end}: {what}");
        }
    }
}

#[test]
fn a_broken_header_is_told_by_line() {
    for (from, to, said) in [
        ("ply\n", "plx\n", "line 1: expected `ply`, found `plx`"),
        ("format ascii", "format morse", "line 2: expected `format ascii 1.0`"),
        ("format ascii 1.0\n", "", "no valid format line"),
        ("property double y", "property doubel y", "line 6: expected `property TYPE NAME`"),
        ("property double y\n", "", "line 4: element vertex has no property y"),
        ("property double y", "property double x", "line 6: `property double x` was named before"),
        ("element vertex 2", "element vertex two", "line 4: expected `element NAME COUNT`"),
        ("element vertex 2", "element vertex 99999999999999999999", "line 4"),
        ("element vertex 2", "element vertex 9999999999", "line 4"),
        ("element vertex 2", "element vortex 2", "no `element vertex`"),
        (
            "end_header\n",
            "",
            "line 13: expected format, comment, obj_info, element, property or end_header; found `0.5 1e-300",
        ),
    ] {
        assert!(ASCII.contains(from), "{from}");
        let what = complaint(ASCII.replacen(from, to, 1).as_bytes());
        assert!(what.contains(said), "{from} -> {to}: expected `{said}` in `{what}`");
    }
    assert_eq!(complaint(b""), "byte 0: the file is empty; expected a PLY header");
}

#[test]
fn a_broken_ascii_body_is_told_by_line() {
    for (from, to, said) in [
        ("1e-300", "l.5", "line 14: expected a number for property y, found `l.5`"),
        (" 255 ", " 256 ", "line 14: expected an uchar (0 to 255) for property red, found `256`"),
        ("-.5 2.", "NaN 2.", "line 15: x of vertex 1 (counted from 0) is NaN"),
        ("-.5 2.", "1e39 2.", "line 15: x of vertex 1 (counted from 0) is inf"),
        ("0.5 1e-300", "0.5", "line 14: expected 6 properties (x y z neighbours red level), found"),
        (
            "0 127\n",
            "0 127 9\n",
            "line 15: expected 6 properties (x y z neighbours red level), found more: `9`",
        ),
        (" 2 11 12 ", " 4000000000 11 12 ", "line 14"),
        (
            "element vertex 2",
            "element vertex 1",
            "line 15: expected an uchar (0 to 255) for property vertex_indices, found `-.5`",
        ),
        ("element vertex 2", "element vertex 4000000000", "line 16"),
        (
            "element face 1",
            "element face 2",
            "line 16: the file ends after 1 entries of element face; expected 2",
        ),
        ("element vertex 2", "element vertex 0", "line"),
    ] {
        assert!(ASCII.contains(from), "{from}");
        let what = complaint(ASCII.replacen(from, to, 1).as_bytes());
        assert!(what.contains(said), "{from} -> {to}: expected `{said}` in `{what}`");
    }
}

#[test]
fn a_broken_binary_body_is_told_by_byte() {
    let bytes = binary(false);
    let body = bytes.windows(11).position(|window| window == b"end_header\n").unwrap() + 11;
    let cut = complaint(&bytes[..body + 6]);
    assert_eq!(
        cut,
        format!("byte {}: the file ends; expected property y of vertex 0 (counted from 0) of 2", body + 6)
    );
    let mut nan = bytes.clone();
    nan[body..body + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    assert!(complaint(&nan).starts_with(&format!("byte {body}: x of vertex 0 (counted from 0) is NaN")));
    let mut more = bytes.clone();
    more.extend(b"more");
    assert_eq!(columns(&parse(&more).unwrap()), expected(), "what comes behind the last entry is left alone");
}

#[test]
fn a_claim_of_billions_costs_nothing() {
    for format in ["ascii", "binary_little_endian"] {
        let header = format!(
            "ply\nformat {format} 1.0\nelement vertex 4294967295\nproperty double x\nproperty double y\nproperty double z\nend_header\n"
        );
        assert!(complaint(header.as_bytes()).contains("4294967295"));
    }
}

#[test]
fn what_is_written_is_read_again_by_us_and_by_others() {
    let cloud = parse(ASCII.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    write(&cloud, &mut bytes, &mut Progress::new(&mut Nobody)).unwrap();
    assert_eq!(bytes.len() as u64, size(&cloud));
    assert_eq!(columns(&parse(&bytes).unwrap()), expected());

    use ply_rs_bw::ply::{DefaultElement, Property};
    let other = ply_rs_bw::parser::Parser::<DefaultElement>::new().read_ply(&mut &bytes[..]).unwrap();
    let second = &other.payload["vertex"][1];
    assert_eq!(second["z"], Property::Short(8));
    assert_eq!(second["red"], Property::UChar(0));
    assert_eq!(second["level"], Property::Char(127));
}
