//! Which contract a component speaks: the names and versions of what it imports and exports are read
//! before it is linked, so that a mismatch is refused with both versions and what helps.

use posemesh_text::one_line;

use crate::contract::{Line, PACKAGE, VERSION, is_newer, numbers};

/// The longest account of what does not fit, in bytes.
const MAX_ACCOUNT: usize = 1000;
/// How much of one name is shown, in bytes: the account still has to say what helps.
const MAX_NAME: usize = 200;
/// How much of a list of names is shown, in bytes.
const MAX_NAMES: usize = 500;
/// The packages of WASI 0.2 that are linked.
const WASI_2: [&str; 7] =
    ["wasi:cli", "wasi:clocks", "wasi:filesystem", "wasi:http", "wasi:io", "wasi:random", "wasi:sockets"];
/// The packages of WASI 0.3 that are linked.
const WASI_3: [&str; 5] = ["wasi:cli", "wasi:clocks", "wasi:filesystem", "wasi:random", "wasi:sockets"];

/// Checks the names and versions of everything that a component imports and exports.
///
/// # Errors
/// The interface, the wanted and the offered version, and what to do.
pub(crate) fn check_world<'a>(
    imports: impl Iterator<Item = &'a str>,
    exports: impl Iterator<Item = &'a str> + Clone,
) -> Result<(), String> {
    // A component names its imports and exports as it likes, and as many as fit into a file.
    check_names(imports, exports).map_err(|what| one_line(what, MAX_ACCOUNT))
}

fn check_names<'a>(
    imports: impl Iterator<Item = &'a str>,
    exports: impl Iterator<Item = &'a str> + Clone,
) -> Result<(), String> {
    for import in imports {
        let (interface, version) = import.split_once('@').unwrap_or((import, ""));
        let package = interface.split('/').next().unwrap_or_default();
        if package == PACKAGE && Line::serving(version).is_none() {
            return Err(format!("it wants {}", of_another_version(interface, version)));
        }
        if package == PACKAGE {
            continue;
        }
        if !package.starts_with("wasi:") {
            let import = shown(import);
            return Err(format!(
                "it imports {import}, which no node offers; a runner may import {PACKAGE}@{VERSION}, WASI 0.2 \
                 and WASI 0.3"
            ));
        }
        check_wasi(import, package, version)?;
    }
    let entry = format!("{PACKAGE}/entry");
    match exports.clone().find_map(|export| export.strip_prefix(&entry)?.strip_prefix('@')) {
        Some(version) if Line::serving(version).is_some() => Ok(()),
        Some(version) => Err(format!("it exports {}", of_another_version(&entry, version))),
        None => Err(format!(
            "it does not export {entry}@{VERSION}; is it built for the world `runner`? it exports {}",
            listed(exports)
        )),
    }
}

/// Checks an import of WASI: whole releases of 0.2, and of 0.3 where wasmtime has them.
fn check_wasi(import: &str, package: &str, version: &str) -> Result<(), String> {
    let import = shown(import);
    if let Some((release, _)) = version.split_once('-') {
        let release = shown(release);
        return Err(format!(
            "it imports {import}, a release candidate of WASI {release}: candidates match nothing but themselves; \
             rebuild it with tools that target WASI 0.2 or the released 0.3.0"
        ));
    }
    let minor = numbers(version).map(|(major, minor, _)| (major, minor));
    match minor {
        Some((0, 2)) if WASI_2.contains(&package) => Ok(()),
        Some((0, 3)) if WASI_3.contains(&package) => Ok(()),
        Some((0, 3)) if package == "wasi:http" => Err(format!(
            "it imports {import}: outbound HTTP is offered as wasi:http 0.2 only, since the engine's 0.3 is still \
             experimental; rebuild that part against wasi:http@0.2.x (0.2 and 0.3 can be mixed)"
        )),
        Some((0, 2 | 3)) => Err(format!(
            "it imports {import}, and this node offers of WASI 0.2: {}; of WASI 0.3: {}",
            WASI_2.join(", "),
            WASI_3.join(", ")
        )),
        _ => Err(format!(
            "it imports {import}, and this node offers WASI 0.2 and 0.3.0; rebuild it for one of them (Rust: target \
             wasm32-wasip2)"
        )),
    }
}

/// A name, fit to be shown.
fn shown(name: &str) -> String {
    one_line(name, MAX_NAME)
}

/// The first names of a list, and how many there are more.
fn listed<'a>(mut names: impl Iterator<Item = &'a str>) -> String {
    let mut list = String::new();
    while list.len() < MAX_NAMES {
        let Some(name) = names.next() else {
            return if list.is_empty() { "nothing".to_owned() } else { list };
        };
        if !list.is_empty() {
            list.push_str(", ");
        }
        list.push_str(&shown(name));
    }
    match names.count() {
        0 => list,
        more => format!("{list} and {more} more"),
    }
}

/// What a version means that is not served, and what helps: only a node that is older than the runner needs an update.
fn of_another_version(interface: &str, version: &str) -> String {
    let served = Line::ALL.map(Line::version).join(" and ");
    let rebuild = rebuild();
    let (interface, wanted) = (shown(interface), shown(version));
    match (numbers(version), is_newer(version)) {
        (None, _) => format!("{interface} in version {wanted:?}, which is no version; {rebuild}"),
        (Some(_), true) => format!(
            "{interface} in version {wanted}, which is newer than this node, which runs {served}: update the node, or \
             {rebuild}"
        ),
        (Some(_), false) => format!(
            "{interface} in version {wanted}, which is older than what this node runs, {served}: {rebuild}"
        ),
    }
}

/// What helps a runner that is not of the newest version.
pub(crate) fn rebuild() -> String {
    format!(
        "rebuild the runner against {PACKAGE}@{VERSION}, which `posemesh-node plugin wit --out wit` writes"
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn check(imports: &[&str], exports: &[&str]) -> Result<(), String> {
        check_world(imports.iter().copied(), exports.iter().copied())
    }

    #[test]
    fn a_runner_of_this_version_fits() {
        let imports = ["posemesh:runner/control@0.2.0", "wasi:cli/environment@0.2.9"];
        check(&imports, &["posemesh:runner/entry@0.2.0"]).unwrap();
    }

    #[test]
    fn a_runner_of_a_released_version_fits() {
        check(&["posemesh:runner/control@0.1.0"], &["posemesh:runner/entry@0.1.0"]).unwrap();
    }

    #[test]
    fn a_newer_contract_is_named_with_all_versions_and_both_ways_out() {
        for (imports, exports, wanted) in [
            (&[][..], &["posemesh:runner/entry@0.3.0"][..], "posemesh:runner/entry in version 0.3.0"),
            (&["posemesh:runner/inputs@0.2.7"], &[], "posemesh:runner/inputs in version 0.2.7"),
        ] {
            let error = check(imports, exports).unwrap_err();
            for said in [wanted, "runs 0.1.0 and 0.2.0", "update the node", "posemesh:runner@0.2.0"] {
                assert!(error.contains(said), "{said}: {error}");
            }
        }
    }

    #[test]
    fn nobody_is_told_to_update_a_node_that_is_newer_than_the_runner() {
        for version in ["0.0.9", "0.1.7", "two", ""] {
            let error = check(&[], &[&format!("posemesh:runner/entry@{version}")]).unwrap_err();
            assert!(error.contains("rebuild the runner") && !error.contains("update the node"), "{error}");
        }
    }

    #[test]
    fn what_is_no_runner_is_refused_with_what_it_lacks() {
        let error = check(&[], &["wasi:cli/run@0.2.0"]).unwrap_err();
        assert!(error.contains("does not export posemesh:runner/entry@0.2.0"), "{error}");
        let error = check(&["acme:db/query@1.0.0"], &[]).unwrap_err();
        assert!(error.contains("acme:db/query@1.0.0"), "{error}");
    }

    #[test]
    fn a_refused_import_of_wasi_names_what_is_offered() {
        let entry = ["posemesh:runner/entry@0.2.0"];
        for fits in ["wasi:http/types@0.2.4", "wasi:cli/stdout@0.3.0", "wasi:clocks/monotonic-clock@0.2.12"] {
            check(&[fits], &entry).unwrap();
        }
        for (import, wanted) in [
            ("wasi:http/client@0.3.0", "wasi:http 0.2 only"),
            ("wasi:cli/run@0.3.0-rc-2026-01-06", "release candidate"),
            ("wasi:nn/graph@0.2.0", "offers of WASI 0.2: wasi:cli"),
            ("wasi:cli/run@0.4.0", "offers WASI 0.2 and 0.3.0"),
            ("wasi:cli/run", "offers WASI 0.2 and 0.3.0"),
        ] {
            let error = check(&[import], &entry).unwrap_err();
            assert!(error.contains(import) && error.contains(wanted), "{import}: {error}");
        }
    }

    #[test]
    fn names_of_imports_and_exports_forge_no_line_and_fill_no_log() {
        let error = check(&["url=<a\n2026 INFO \u{1b}[2Jforged>"], &[]).unwrap_err();
        assert!(error.contains(r"a\n2026 INFO \u{1b}[2Jforged"), "{error}");
        let many: Vec<String> = (0..100_000).map(|n| format!("export-{n}")).collect();
        let error = check_world([].into_iter(), many.iter().map(String::as_str)).unwrap_err();
        assert!(error.len() < 2 * MAX_ACCOUNT && error.ends_with(" more"), "{error}");
        // What helps is still said of names that fill a page.
        let long = format!("wasi:{}@0.2.0", "x".repeat(100_000));
        for (import, want) in
            [(long.clone(), "this node offers"), (long.replace("wasi:", "a:"), "a runner may import")]
        {
            let error = check(&[&import], &[]).unwrap_err();
            assert!(error.len() < MAX_ACCOUNT && error.contains(want), "{error}");
        }
    }
}
