//! The setting that a wrong name was most likely meant to be.

use strsim::osa_distance;

/// Longer than any setting: no time is spent on comparing.
const LONGEST: usize = 128;

/// The most similar of these names, and how many letters differ; none for a name that is too long to be meant as one. The
/// case of letters and the kind of dash make no difference.
pub(super) fn nearest(name: &str, names: &[&'static str]) -> Option<(&'static str, usize)> {
    if name.len() > LONGEST {
        return None;
    }
    let upper = name.to_ascii_uppercase().replace('-', "_");
    let distances = names.iter().map(|one| (*one, osa_distance(&upper, &one.to_ascii_uppercase())));
    distances.min_by_key(|(_, distance)| *distance)
}
