//! The contract with runners, as this program carries it: the files of the WIT package, and the versions of it that
//! are served.
//!
//! The newest version lies in `wit/`; each released one that is still served is frozen in `wit/released/VERSION`, and has
//! an adaptor (`instance::v0_1`) that makes the newest version of what its components say, and back.

mod shapes;

pub(crate) use shapes::Shape;

/// The package.
pub const PACKAGE: &str = "posemesh:runner";
/// The newest version of the package that is served.
pub const VERSION: &str = "0.2.0";

/// The files of the newest version, each with its name and its text.
pub const FILES: [(&str, &str); 5] = [
    ("control.wit", include_str!("../../../wit/control.wit")),
    ("inputs.wit", include_str!("../../../wit/inputs.wit")),
    ("outputs.wit", include_str!("../../../wit/outputs.wit")),
    ("types.wit", include_str!("../../../wit/types.wit")),
    ("world.wit", include_str!("../../../wit/world.wit")),
];

/// The texts of 0.1.0, which is frozen.
const FILES_0_1: [&str; 5] = [
    include_str!("../../../wit/released/0.1.0/control.wit"),
    include_str!("../../../wit/released/0.1.0/inputs.wit"),
    include_str!("../../../wit/released/0.1.0/outputs.wit"),
    include_str!("../../../wit/released/0.1.0/types.wit"),
    include_str!("../../../wit/released/0.1.0/world.wit"),
];

/// A line of versions (one minor version) that is served. Within it interfaces only grow, so that the adaptor of its
/// newest release runs components of all the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    /// 0.1.x, by an adaptor.
    V0_1,
    /// 0.2.x, the newest.
    V0_2,
}

impl Line {
    /// Every line, the oldest first.
    pub(crate) const ALL: [Self; 2] = [Self::V0_1, Self::V0_2];

    /// The newest release of the line that is served.
    pub(crate) const fn version(self) -> &'static str {
        match self {
            Self::V0_1 => "0.1.0",
            Self::V0_2 => VERSION,
        }
    }

    /// The line that serves a version; None if that is older or newer than all of them, or no version.
    pub(crate) fn serving(version: &str) -> Option<Self> {
        let wanted = numbers(version)?;
        Self::ALL.into_iter().find(|line| {
            let Some(ours) = numbers(line.version()) else { return false };
            (wanted.0, wanted.1) == (ours.0, ours.1) && wanted.2 <= ours.2
        })
    }

    /// The records, variants and enums of the line.
    pub(crate) fn shapes(self) -> Vec<Shape> {
        match self {
            Self::V0_1 => FILES_0_1.into_iter().flat_map(shapes::read).collect(),
            Self::V0_2 => FILES.into_iter().flat_map(|(_, text)| shapes::read(text)).collect(),
        }
    }
}

/// Whether a version is newer than every one that is served. What is no version is not.
pub(crate) fn is_newer(version: &str) -> bool {
    matches!((numbers(version), numbers(VERSION)), (Some(theirs), Some(ours)) if theirs > ours)
}

/// The numbers of a version without more.
pub(crate) fn numbers(version: &str) -> Option<(u64, u64, u64)> {
    let mut parts = version.splitn(3, '.').map(|part| part.parse().ok());
    Some((parts.next()??, parts.next()??, parts.next()??))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn a_line_serves_its_own_and_older_releases() {
        assert_eq!(Line::serving("0.2.0"), Some(Line::V0_2));
        assert_eq!(Line::serving("0.1.0"), Some(Line::V0_1));
        for version in ["0.0.9", "0.1.1", "0.2.1", "0.3.0", "1.2.0", "0.2", "", "0.2.0-rc"] {
            assert_eq!(Line::serving(version), None, "{version}");
        }
        assert!(is_newer("0.2.1") && is_newer("1.0.0"));
        assert!(!is_newer("0.2.0") && !is_newer("0.0.9") && !is_newer("two"));
    }

    #[test]
    fn every_file_of_a_line_says_its_version() {
        let says = |text: &str, version: &str| text.contains(&format!("package {PACKAGE}@{version};"));
        assert!(FILES.iter().all(|(_, text)| says(text, VERSION)));
        assert!(FILES_0_1.iter().all(|text| says(text, "0.1.0")));
    }

    #[test]
    fn what_is_released_is_frozen() {
        let digest = FILES_0_1.iter().fold(Sha256::new(), |all, text| all.chain_update(text)).finalize();
        assert_eq!(
            hex::encode(digest),
            "b4d9640dbc35686a47dd431760b9318baf114a4d3ac5ea8ac7d36bcde0c889bb",
            "wit/released/0.1.0 has changed. Components were built against it: put it back, and change wit/ instead, \
             under a new version"
        );
    }
}
