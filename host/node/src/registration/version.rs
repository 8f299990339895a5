//! The version that is reported to DDS (protocol 1.6).

use semver::Version;

/// The version of this crate: what a node reports unless `NODE_VERSION` is set.
pub(crate) const CRATE_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The version as semver: as given, or without a leading `v`, or else the version of this crate.
pub(super) fn normalise(given: &str) -> String {
    let trimmed = given.trim();
    let is_semver = |text: &str| Version::parse(text).is_ok();
    if is_semver(trimmed) {
        return trimmed.to_owned();
    }
    // DDS refuses a registration with a version that it can't read, so another one is reported instead.
    let used = trimmed.strip_prefix(['v', 'V']).filter(|rest| is_semver(rest)).unwrap_or(CRATE_VERSION);
    tracing::warn!(given = trimmed, used, "NODE_VERSION is not semver");
    used.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_become_semver() {
        for (given, used) in [
            ("1.2.3", "1.2.3"),
            (" 1.2.3-rc.1+build ", "1.2.3-rc.1+build"),
            ("v1.2.3", "1.2.3"),
            ("V1.2.3", "1.2.3"),
            ("vv1.2.3", CRATE_VERSION),
            ("1.2", CRATE_VERSION),
            ("latest", CRATE_VERSION),
            ("", CRATE_VERSION),
        ] {
            assert_eq!(normalise(given), used, "{given:?}");
        }
    }
}
