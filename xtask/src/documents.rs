//! What a document claims to be tested is tested: every `FILE::NAME` in docs/security.md is a test in that file.

use std::path::Path;

/// Where the names stand.
const DOCUMENT: &str = "docs/security.md";

/// The texts between backticks that name a test, with the number of their line.
fn named(document: &str) -> Vec<(usize, &str, &str)> {
    let mut named = Vec::new();
    for (number, line) in (1..).zip(document.lines()) {
        // Every other piece stands between two of them.
        for quoted in line.split('`').skip(1).step_by(2) {
            if let Some((file, name)) = quoted.split_once(".rs::") {
                named.push((number, file, name));
            }
        }
    }
    named
}

/// Whether the source has a test of this name: a function below an attribute that says so.
fn has_test(source: &str, name: &str) -> bool {
    let mut is_test = false;
    for line in source.lines().map(str::trim_start) {
        if line.starts_with("#[") {
            is_test |= line.contains("test");
        } else if let Some((_, rest)) = line.split_once("fn ") {
            let called = rest.strip_prefix(name).is_some_and(|rest| rest.starts_with('('));
            if called && is_test {
                return true;
            }
            is_test = false;
        }
    }
    false
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_test_that_the_security_document_names_exists() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let document = std::fs::read_to_string(root.join(DOCUMENT)).unwrap();
        let named = named(&document);
        assert!(named.len() > 50, "{} tests are named", named.len());
        let missing: Vec<String> = named
            .iter()
            .filter(|(_, file, name)| {
                let source = std::fs::read_to_string(root.join(format!("{file}.rs")));
                !source.is_ok_and(|source| has_test(&source, name))
            })
            .map(|(line, file, name)| format!("{DOCUMENT}:{line}: there is no test {name} in {file}.rs"))
            .collect();
        assert!(missing.is_empty(), "{}", missing.join("\n"));
    }

    #[test]
    fn a_test_is_found_by_its_name_and_attribute() {
        let document = "| x | `a/b.rs::one`, `c.rs::two`; `d.rs` |\n`e`";
        assert_eq!(named(document), [(1, "a/b", "one"), (1, "c", "two")]);
        let source = "#[test]\nfn one() {}\nfn two() {}\n    #[tokio::test(flavor = \"x\")]\n    async fn three() {}\n";
        assert!(has_test(source, "one") && has_test(source, "three"));
        assert!(!has_test(source, "two") && !has_test(source, "on"));
    }
}
