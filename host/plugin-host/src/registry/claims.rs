//! Who serves a capability when several runners claim it.
//!
//! **Invariant:** the one with the highest priority, and no two of the same priority claim the same.

use std::collections::BTreeSet;

/// What a runner claims to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The runner's name.
    pub(crate) name: String,
    /// `priority` in its `NAME.toml`.
    pub(crate) priority: i32,
    /// The capabilities.
    pub(crate) capabilities: Vec<String>,
}

/// Why a runner can't go live beside the others, if it can't.
pub(crate) fn conflict(claim: &Claim, others: &[Claim]) -> Option<String> {
    // The same name is left out: a new generation of a runner claims what the old one serves.
    let rivals = others.iter().filter(|other| other.name != claim.name && other.priority == claim.priority);
    let mut clashes = rivals.flat_map(|other| {
        let both = claim.capabilities.iter().filter(|capability| other.capabilities.contains(capability));
        both.map(move |capability| (other, capability))
    });
    clashes.next().map(|(other, capability)| {
        format!(
            "{name} claims {capability}, which {rival} serves already, and both have priority {priority}; \
             give one of them another `priority` in {name}.toml or {rival}.toml, or disable one there",
            name = claim.name,
            rival = other.name,
            priority = claim.priority,
        )
    })
}

/// The name of the runner that serves a capability.
pub(crate) fn owner<'a>(capability: &str, claims: &'a [Claim]) -> Option<&'a str> {
    let claimants = claims.iter().filter(|claim| claim.capabilities.iter().any(|one| one == capability));
    // There is no tie: `conflict` keeps two of one priority from claiming the same.
    claimants.max_by_key(|claim| claim.priority).map(|claim| claim.name.as_str())
}

/// Everything that is served.
pub(crate) fn served(claims: &[Claim], withheld: &BTreeSet<String>) -> BTreeSet<String> {
    let all = claims.iter().flat_map(|claim| claim.capabilities.iter());
    all.filter(|capability| !withheld.contains(*capability)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(name: &str, priority: i32, capabilities: &[&str]) -> Claim {
        let capabilities = capabilities.iter().map(|&capability| capability.to_owned()).collect();
        Claim { name: name.to_owned(), priority, capabilities }
    }

    #[test]
    fn equals_clash_and_both_are_named() {
        let live = [claim("old", 0, &["/a", "/b"]), claim("far", 0, &["/c"])];
        let reason = conflict(&claim("new", 0, &["/x", "/b"]), &live).unwrap_or_default();
        for part in ["new claims /b", "old serves", "priority 0", "new.toml or old.toml"] {
            assert!(reason.contains(part), "{part:?} is not in {reason:?}");
        }
        assert_eq!(conflict(&claim("old", 0, &["/a"]), &live), None, "its own successor");
        assert_eq!(conflict(&claim("new", 1, &["/a"]), &live), None, "a priority decides");
    }

    #[test]
    fn the_highest_priority_serves() {
        let live = [claim("low", -1, &["/a"]), claim("high", 5, &["/a"]), claim("mid", 0, &["/a", "/b"])];
        assert_eq!(owner("/a", &live), Some("high"));
        assert_eq!(owner("/b", &live), Some("mid"));
        assert_eq!(owner("/c", &live), None);
        let withheld = BTreeSet::from(["/b".to_owned()]);
        assert_eq!(served(&live, &withheld), BTreeSet::from(["/a".to_owned()]));
    }
}
