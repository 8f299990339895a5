//! Which contract a component speaks: the names and versions of what it imports and exports are read
//! before it is linked, so that a mismatch is told in words.

/// The package of the contract.
const PACKAGE: &str = "posemesh:runner";
/// The newest version of the contract that is served; older ones of the same minor are too.
pub const WIT_VERSION: &str = "0.1.0";

/// Checks names and versions of what a component wants and gives, so that a mismatch is told in words.
pub fn check_world(imports: &[String], exports: &[String]) -> Result<(), String> {
    for import in imports {
        let (interface, version) = import.split_once('@').unwrap_or((import, ""));
        let package = interface.split('/').next().unwrap_or_default();
        if package == PACKAGE && !is_served(version) {
            return Err(format!(
                "it wants {interface} in version {version}, and this node offers {WIT_VERSION}; update the node, \
                 or rebuild the runner against the older package"
            ));
        }
        if package != PACKAGE && !package.starts_with("wasi:") {
            return Err(format!(
                "it imports {import}, which no node offers; a runner may import {PACKAGE}@{WIT_VERSION} and WASI 0.2"
            ));
        }
        if package == "wasi:http" {
            return Err(format!(
                "it imports {import}: outbound HTTP is not offered to runners yet; build it without (jco: \
                 --disable http fetch-event)"
            ));
        }
    }
    let entry = format!("{PACKAGE}/entry");
    match exports.iter().find_map(|export| export.strip_prefix(&entry)?.strip_prefix('@')) {
        Some(version) if is_served(version) => Ok(()),
        Some(version) => Err(format!(
            "it exports {entry} in version {version}, and this node runs {WIT_VERSION}; update the node, or \
             rebuild the runner against the older package"
        )),
        None => Err(format!(
            "it does not export {entry}@{WIT_VERSION}; is it built for the world `runner`? it exports {}",
            if exports.is_empty() { "nothing".to_owned() } else { exports.join(", ") }
        )),
    }
}

/// 0.1.x up to ours: within a minor version interfaces only grow.
fn is_served(version: &str) -> bool {
    let numbers = |text: &str| -> Option<(u64, u64, u64)> {
        let mut parts = text.splitn(3, '.').map(|part| part.parse().ok());
        Some((parts.next()??, parts.next()??, parts.next()??))
    };
    match (numbers(version), numbers(WIT_VERSION)) {
        (Some(theirs), Some(ours)) => theirs.0 == ours.0 && theirs.1 == ours.1 && theirs.2 <= ours.2,
        _ => false,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn a_runner_of_this_version_fits() {
        let imports = names(&["posemesh:runner/control@0.1.0", "wasi:cli/environment@0.2.9"]);
        check_world(&imports, &names(&["posemesh:runner/entry@0.1.0"])).unwrap();
    }

    #[test]
    fn a_newer_contract_is_named_with_both_versions() {
        let error = check_world(&[], &names(&["posemesh:runner/entry@0.2.0"])).unwrap_err();
        assert!(error.contains("0.2.0") && error.contains("0.1.0") && error.contains("entry"), "{error}");
        let error = check_world(&names(&["posemesh:runner/inputs@0.1.7"]), &[]).unwrap_err();
        assert!(error.contains("posemesh:runner/inputs") && error.contains("0.1.7"), "{error}");
    }

    #[test]
    fn what_is_no_runner_is_told_so() {
        let error = check_world(&[], &names(&["wasi:cli/run@0.2.0"])).unwrap_err();
        assert!(error.contains("does not export posemesh:runner/entry@0.1.0"), "{error}");
        let error = check_world(&names(&["acme:db/query@1.0.0"]), &[]).unwrap_err();
        assert!(error.contains("acme:db/query@1.0.0"), "{error}");
    }
}
