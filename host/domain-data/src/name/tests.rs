#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;

#[test]
fn the_protocols_example_comes_out_exactly() {
    let path = logical_path(Some("out"), "job_manifest.json");
    assert_eq!(path, "out/job_manifest.json");
    assert_eq!(derive(&path, "task-456"), "out_job_manifest_json_task-456");
}

#[test]
fn prefix_and_path_are_joined_by_one_slash() {
    for (prefix, path, want) in [
        (None, "a/b.ply", "a/b.ply"),
        (Some(""), "/a", "a"),
        (Some("//"), "a", "a"),
        (Some("/out/"), "//a/", "out/a/"),
        (Some("out"), "", "out"),
    ] {
        assert_eq!(logical_path(prefix, path), want, "{prefix:?} {path:?}");
    }
}

#[test]
fn types_follow_from_the_extension() {
    for (path, want) in [
        ("a.json", "json"),
        ("a/B.PLY", "ply"),
        ("a.drc", "ply_draco"),
        ("a.glb", "glb"),
        ("a.tar.gz", "gz_data"),
        ("a.zip", "zip_data"),
        ("a.p ng", "p_ng_data"),
        ("a", "binary"),
        ("a.", "binary"),
        (".hidden", "binary"),
        ("dir.zip/file", "binary"),
    ] {
        assert_eq!(data_type(path), want, "{path}");
    }
}

#[test]
fn long_paths_give_distinct_names_that_fit() {
    let task = "5d2c0f1e-3a4b-4c5d-8e9f-a0b1c2d3e4f5";
    let long = "d/".repeat(200);
    let (a, b) = (derive(&format!("{long}a"), task), derive(&format!("{long}b"), task));
    assert_ne!(a, b);
    for name in [&a, &b] {
        assert_eq!(name.len(), MAX_NAME_BYTES);
        assert!(name.ends_with(task), "{name} should still tell the task");
    }
    assert_ne!(derive_distinct("a.b", task), derive_distinct("a_b", task));
}

#[test]
fn explicit_names_are_checked_by_the_servers_rules() {
    assert_eq!(check("name", "My scan, part 2: März-1.2"), Ok(()));
    assert_eq!(check("name", &"x".repeat(128)), Ok(()));
    assert_eq!(check("name", ""), Err(NameError::Empty("name")));
    assert_eq!(check("name", &"ä".repeat(65)), Err(NameError::TooLong { what: "name", bytes: 130 }));
    for character in FORBIDDEN.chars().chain(['\r', '\n', '\0', '\u{7f}', '\u{85}']) {
        let want = Err(NameError::Forbidden { what: "data type", character });
        assert_eq!(check("data type", &format!("a{character}b")), want);
    }
}

proptest! {
    #[test]
    fn other_paths_get_other_names_once_they_are_told_apart(a in ".{0,150}", b in ".{0,150}", task: u128) {
        prop_assume!(a != b);
        let task = task_suffix(Uuid::from_u128(task));
        prop_assert_ne!(derive_distinct(&a, &task), derive_distinct(&b, &task));
    }

    #[test]
    fn paths_are_joined_whatever_slashes_they_have(prefix in "[/a-z]{0,8}", path in "[/a-z]{0,8}") {
        let joined = logical_path(Some(&prefix), &path);
        prop_assert!(!joined.starts_with('/'), "{joined}");
        let letters = |text: &str| text.replace('/', "");
        prop_assert_eq!(letters(&joined), letters(&prefix) + &letters(&path));
    }

    #[test]
    fn derived_names_and_types_always_pass_the_check(path in ".{1,300}", prefix in proptest::option::of(".{0,40}")) {
        let path = logical_path(prefix.as_deref(), &path);
        let task = task_suffix(Uuid::from_u128(7));
        prop_assert_eq!(check("name", &derive(&path, &task)), Ok(()));
        prop_assert_eq!(check("name", &derive_distinct(&path, &task)), Ok(()));
        prop_assert_eq!(check("data type", &data_type(&path)), Ok(()));
    }
}
