//! What differs between the settings that a node runs with and those that it reads again.

use std::collections::{BTreeMap, BTreeSet};

use posemesh_text::REDACTED;

use super::reader::{SecretMark, Setting};

/// What stands for a setting that only one of the two has.
const UNSET: &str = "unset";

/// A setting that has another value now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) name: &'static str,
    /// The values, as `config check` shows them.
    pub(crate) before: String,
    pub(crate) after: String,
}

/// The settings of a configuration, and the marks of its secrets.
type Given<'a> = (&'a [Setting], &'a [SecretMark]);

/// What differs, by name. Where a value comes from makes no difference, and neither does what follows from the machine.
pub(super) fn differences(before: Given<'_>, after: Given<'_>) -> Vec<Difference> {
    let values = |(settings, _): Given<'_>| -> BTreeMap<&'static str, String> {
        settings.iter().map(|setting| (setting.name, setting.value.clone())).collect()
    };
    let marks =
        |(_, marks): Given<'_>| -> BTreeMap<&'static str, [u8; 32]> { marks.iter().copied().collect() };
    let (old, new) = (values(before), values(after));
    let (old_marks, new_marks) = (marks(before), marks(after));
    let names: BTreeSet<&'static str> =
        old.keys().chain(new.keys()).chain(old_marks.keys()).chain(new_marks.keys()).copied().collect();
    let differs =
        |name: &&'static str| old.get(name) != new.get(name) || old_marks.get(name) != new_marks.get(name);
    let shown = |values: &BTreeMap<&'static str, String>, marks: &BTreeMap<_, _>, name| match values.get(name)
    {
        Some(value) => value.clone(),
        None if marks.contains_key(name) => REDACTED.to_owned(),
        None => UNSET.to_owned(),
    };
    names
        .into_iter()
        .filter(differs)
        .map(|name| Difference {
            name,
            before: shown(&old, &old_marks, name),
            after: shown(&new, &new_marks, name),
        })
        .collect()
}
