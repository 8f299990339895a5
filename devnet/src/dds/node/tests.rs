use super::is_version;

#[test]
fn versions_are_semantic() {
    for good in ["1.2.3", "v0.1.0", "1.0.0-rc.1+build"] {
        assert!(is_version(good), "{good}");
    }
    for bad in ["", "1.2", "one", "1.2.x", "1..2"] {
        assert!(!is_version(bad), "{bad}");
    }
}
