//! Files as other programs write them, and what must not be read in two ways.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::io::Write;

use super::tests::{columns, complaint, parse};
use super::*;

/// A little-endian or big-endian body of three floats and three bytes a point.
fn body(points: &[([f32; 3], [u8; 3])], big: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (position, colour) in points {
        for value in position {
            bytes.extend(if big { value.to_be_bytes() } else { value.to_le_bytes() });
        }
        bytes.extend(colour);
    }
    bytes
}

const POINTS: [([f32; 3], [u8; 3]); 2] =
    [([0.5, 1.5, 2.5], [10, 20, 30]), ([-1.0, -2.0, -3.0], [13, 10, 255])];
const COLOURED: &str = "property float x\nproperty float y\nproperty float z\nproperty uchar red\n\
    property uchar green\nproperty uchar blue\n";

fn coloured() -> Vec<(&'static str, Vec<f64>)> {
    vec![
        ("x", vec![0.5, -1.0]),
        ("y", vec![1.5, -2.0]),
        ("z", vec![2.5, -3.0]),
        ("red", vec![10.0, 13.0]),
        ("green", vec![20.0, 10.0]),
        ("blue", vec![30.0, 255.0]),
    ]
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn remarks(cloud: &Cloud) -> Vec<String> {
    cloud.remarks.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect()
}

#[test]
fn scan_with_blank_lines_and_odd_spacing_in_its_header() {
    let file = "\n  PLY  \n\n\tformat   ASCII  1.0\n \ncomment  EPSG:25832 \n\nelement\tvertex   000002  \n\n\
        property Float32 X\nproperty float  Y\nproperty float64 z\n\nend_header \n\n1 2 3\n\n 4\t5  6";
    let cloud = parse(file.as_bytes()).unwrap();
    assert_eq!(columns(&cloud), [("X", vec![1.0, 4.0]), ("Y", vec![2.0, 5.0]), ("z", vec![3.0, 6.0])]);
    assert_eq!(cloud.positions().unwrap(), [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    assert_eq!(remarks(&cloud), ["comment  EPSG:25832"]);
    assert_eq!(
        columns(&parse(&[b"\xef\xbb\xbf", file.trim().as_bytes()].concat()).unwrap()),
        columns(&cloud)
    );
}

#[test]
fn scan_with_the_line_ends_of_any_system() {
    for (format, big) in [("binary_little_endian", false), ("binary_big_endian", true)] {
        for end in ["\n", "\r\n", "\r"] {
            let header = format!("ply\nformat {format} 1.0\nelement vertex 2\n{COLOURED}end_header\n");
            // The first byte of the body is a line feed: only the header's own breaks say that it is data.
            let points = [([f32::from_bits(0x0a0a_0a0a), 1.5, 2.5], [10, 20, 30]), POINTS[1]];
            let file = [header.replace('\n', end).into_bytes(), body(&points, big)].concat();
            let cloud = parse(&file).unwrap_or_else(|error| panic!("{format} {end:?}: {error}"));
            assert_eq!(columns(&cloud)[1..], coloured()[1..], "{format} {end:?}");
        }
    }
    let text = format!(
        "ply\nformat ascii 1.0\nelement vertex 2\n{COLOURED}end_header\n0.5 1.5 2.5 10 20 30\n-1 -2 -3 13 10 255\n"
    );
    for end in ["\n", "\r\n", "\r", "\n\n"] {
        assert_eq!(columns(&parse(text.replace('\n', end).as_bytes()).unwrap()), coloured(), "{end:?}");
    }
    let wrong = text.replace("13 10", "1e 10").replace('\n', "\r");
    assert!(complaint(wrong.as_bytes()).starts_with("line 12: "), "{}", complaint(wrong.as_bytes()));
}

#[test]
fn scan_with_a_vertex_over_several_lines() {
    // As librealsense writes: position, normal and colour on a line each.
    let file = "ply\nformat ascii 1.0\ncomment pointcloud saved from Realsense Viewer\nelement vertex 3\n\
        property float32 x\nproperty float32 y\nproperty float32 z\nproperty float32 nx\nproperty float32 ny\n\
        property float32 nz\nproperty uchar red\nproperty uchar green\nproperty uchar blue\nelement face 1\n\
        property list uchar int vertex_indices\nend_header\n0 0 1 \n0 0 -1 \n10 20 30 \n1 0 1 \n0 0 -1 \n11 21 31 \n\
        0 1 1 \n0 0 -1 \n12 22 32 \n3 0 1 2\n";
    let cloud = parse(file.as_bytes()).unwrap();
    assert_eq!(cloud.len(), 3);
    assert_eq!(columns(&cloud)[8], ("blue", vec![30.0, 31.0, 32.0]));
    let cut = complaint(file.split("12 22").next().unwrap().as_bytes());
    assert!(cut.starts_with("line 24: expected 9 properties") && cut.contains("found 6"), "{cut}");
}

#[test]
fn scan_with_lines_that_contradict_its_header_is_refused_at_the_first_of_them() {
    let header = "ply\nformat ascii 1.0\nelement vertex 4\nproperty float x\nproperty float y\nproperty float z\nend_header\n";
    for (body, said) in [
        ("0 0 0\n1 1\n2 2 2\n3 3 3\n", "line 9: expected 3 properties (x y z), found 2"),
        ("0 0\n1 1 1\n2 2 2\n3 3 3\n", "line 8: expected 3 properties (x y z), found 2"),
        ("0 0 0 7\n1 1 1 7\n2 2 2 7\n3 3 3 7\n", "line 8: expected 3 properties (x y z), found more: `7`"),
        ("0 0 0\n1 1 1\n2 2 2 2\n3 3 3\n", "line 10: expected 3 properties (x y z), found more: `2`"),
        ("0 0 0\n1 1 1\n2 2 2\n3 3 3\n4 4 4\n", "line 12: expected the end of the file"),
        ("0 0 0\n1 1 1\n2 2 2\n", "line 10: the file ends after 3 entries of element vertex; expected 4"),
    ] {
        let what = complaint(format!("{header}{body}").as_bytes());
        assert!(what.contains(said), "expected `{said}` in `{what}`");
    }
    // Words that only lie differently on the lines have one meaning.
    let wrapped = format!("{header}0 0 0\n1 1\n1 2 2\n2 3 3 3\n");
    assert_eq!(columns(&parse(wrapped.as_bytes()).unwrap())[0].1, [0.0, 1.0, 2.0, 3.0]);
}

#[test]
fn scan_with_property_names_of_any_characters_keeps_them() {
    let names = [
        "scalar_Roughness_(0.01)",
        "scalar_Number_of_neighbors_(r=0.05)",
        "intensit\u{e4}t",
        "50%",
        "a/b",
        "高さ",
    ];
    let mut file =
        b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\n"
            .to_vec();
    names.iter().for_each(|name| file.extend(format!("property float {name}\n").into_bytes()));
    file.extend(b"property float H\xf6he\nend_header\n1 2 3 4 5 6 7 8 9 1.#QNAN0\n");
    let cloud = parse(&file).unwrap();
    let found: Vec<&str> = cloud.columns.iter().skip(3).map(|column| column.name.as_str()).collect();
    assert_eq!(found[..6], names);
    assert_eq!(found[6], "H\u{f6}he");
    assert!(cloud.columns[9].values.at(0).is_nan());

    let mut bytes = Vec::new();
    write(&cloud, &mut bytes, &mut Progress::new(&mut super::tests::Nobody)).unwrap();
    assert_eq!(parse(&bytes).unwrap().columns[3..9], cloud.columns[3..9]);
}

#[test]
fn scan_with_padding_behind_its_gzip_stream() {
    let file = [
        format!("ply\nformat binary_little_endian 1.0\nelement vertex 2\n{COLOURED}end_header\n")
            .into_bytes(),
        body(&POINTS, false),
    ]
    .concat();
    let packed = gzip(&file);
    let twice = [gzip(&file[..40]), gzip(b""), gzip(&file[40..])].concat();
    for packed in [&packed, &twice] {
        for junk in [&[0; 1][..], &[0; 4096], b"signature", &[0x1f], b"\n", &[]] {
            let bytes = [packed, junk].concat();
            assert_eq!(columns(&parse(&bytes).unwrap()), coloured(), "{junk:?}");
        }
    }
    let behind = gzip(&[&file[..], &[0; 5000]].concat());
    assert_eq!(columns(&parse(&behind).unwrap()), coloured());
    // A second member that is cut off is no padding.
    let cut = complaint(&twice[..twice.len() - 9]);
    assert!(cut.contains("gzip stream ends too early"), "{cut}");
}

#[test]
fn scan_with_bytes_behind_its_last_entry() {
    let header = format!("ply\nformat binary_little_endian 1.0\nelement vertex 2\n{COLOURED}end_header\n");
    let binary = [header.clone().into_bytes(), body(&POINTS, false)].concat();
    let ascii = format!(
        "{}0.5 1.5 2.5 10 20 30\n-1 -2 -3 13 10 255",
        header.replace("binary_little_endian", "ascii")
    );
    for junk in [&[0; 512][..], b"\n", b"\r\n\x1a", b"\nend of file"] {
        assert_eq!(columns(&parse(&[&binary, junk].concat()).unwrap()), coloured(), "{junk:?}");
        assert_eq!(columns(&parse(&[ascii.as_bytes(), junk].concat()).unwrap()), coloured(), "{junk:?}");
    }
}

#[test]
fn scan_with_comments_and_obj_info_keeps_them() {
    let file = "ply\ncomment first\nformat ascii 1.0\nobj_info num_cols 512\nelement vertex 1\ncomment crs: EPSG:25832+7837\n\
        property float x\nproperty float y\nobj_info caf\u{e9}\nproperty float z\ncomment\nend_header\n1 2 3\n";
    let cloud = parse(file.as_bytes()).unwrap();
    let expected = [
        "comment first",
        "obj_info num_cols 512",
        "comment crs: EPSG:25832+7837",
        "obj_info caf\u{e9}",
        "comment",
    ];
    assert_eq!(remarks(&cloud), expected);
    let mut bytes = Vec::new();
    write(&cloud, &mut bytes, &mut Progress::new(&mut super::tests::Nobody)).unwrap();
    assert_eq!(bytes.len() as u64, size(&cloud));
    assert_eq!(remarks(&parse(&bytes).unwrap()), expected);
}

#[test]
fn scan_with_colours_of_any_range() {
    let file = |kind: &str, values: &str| {
        let mut text =
            "ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nproperty float y\nproperty float z\n"
                .to_owned();
        ["red", "green", "blue"].iter().for_each(|name| text += &format!("property {kind} {name}\n"));
        let lines: Vec<String> = values.split(';').map(|colour| format!("0 0 0 {colour}")).collect();
        parse(format!("{text}end_header\n{}\n", lines.join("\n")).as_bytes())
            .unwrap()
            .colours()
            .unwrap()
            .unwrap()
    };
    for (kind, values, expected) in [
        ("float", "0 0.5 1;0.25 0 0", [[0.0, 0.5, 1.0], [0.25, 0.0, 0.0]]),
        ("float", "0 0.5 1;0.25 0 1.001", [[0.0, 0.5, 1.0], [0.25, 0.0, 1.0]]),
        // One bright point at the end of the file tells how the first is meant.
        ("double", "0 0.51 1.02;51 0 255", [[0.0, 0.002, 0.004], [0.2, 0.0, 1.0]]),
        ("float", "0 0 nan;51 0 255", [[0.0, 0.0, 0.0], [0.2, 0.0, 1.0]]),
        ("float", "0 0 13107;0 0 65535", [[0.0, 0.0, 0.2], [0.0, 0.0, 1.0]]),
        ("uchar", "0 0 1;1 0 0", [[0.0, 0.0, 1.0 / 255.0], [1.0 / 255.0, 0.0, 0.0]]),
        ("ushort", "0 0 13107;0 0 65535", [[0.0, 0.0, 0.2], [0.0, 0.0, 1.0]]),
        ("ushort", "0 0 51;0 0 255", [[0.0, 0.0, 0.2], [0.0, 0.0, 1.0]]),
        ("int", "0 0 51;0 0 255", [[0.0, 0.0, 0.2], [0.0, 0.0, 1.0]]),
    ] {
        let found = file(kind, values);
        let near = found.iter().flatten().zip(expected.iter().flatten()).all(|(a, b)| (a - b).abs() < 1e-6);
        assert!(near, "{kind} {values}: {found:?}, expected {expected:?}");
    }
}

#[test]
fn scan_with_its_vertices_behind_other_elements() {
    // As PCL (a camera behind) and Stanford's range files (a grid of lists) have them, and in odd order.
    let header = "ply\nformat ascii 1.0\ncomment PCL generated\nelement range_grid 3\nproperty list uchar int vertex_indices\n\
        element material 1\nproperty uchar a\nproperty float a\nelement vertex 2\nproperty double x\nproperty double y\n\
        property double z\nelement camera 1\nproperty float view_px\nproperty int viewportx\nend_header\n\
        1 0\n0\n1 1\n7 0.5\n400000.25 5700000.125 81.5\n400001.25 5700001.125 82.5\n0 640\n";
    let cloud = parse(header.as_bytes()).unwrap();
    assert_eq!(columns(&cloud)[1], ("y", vec![5_700_000.125, 5_700_001.125]));
}
