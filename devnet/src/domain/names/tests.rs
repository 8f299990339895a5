use super::check;

#[test]
fn names_are_short_and_plain() {
    for good in ["a", "out_job_manifest_json_task-456", "grüße 1.2", &"x".repeat(128)] {
        assert!(check("name", good).is_ok(), "{good:?}");
    }
    for bad in ["", "a/b", "a;b", "a\"b", "a\nb", "a=b", &"x".repeat(129)] {
        assert!(check("name", bad).is_err(), "{bad:?}");
    }
}
