//! What is looked at, one thing a function.

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use posemesh_files::open_regular;
use posemesh_plugin_host::load::ComponentNames;
use posemesh_plugin_host::manifest::Policy;
use posemesh_plugin_host::registry::Generation;
use posemesh_text::ByteSize;

use super::finding::Findings;

/// What is told of a size above this, in bytes: a node reads and compiles all of it.
const LARGE: u64 = 16 << 20;
/// How many names are listed.
const MAX_LISTED: usize = 12;

/// The bytes of a component, as many as may be one; empty if it can't be read, which loading says.
pub(super) fn file(path: &Path, largest: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    // What is cut off here is refused for its size.
    let read = open_regular(path).and_then(|file| file.take(largest).read_to_end(&mut bytes));
    if read.is_err() {
        bytes.clear();
    }
    bytes
}

/// Which contract it is built for, and what it imports of WASI.
pub(super) fn contract(component: &[u8], findings: &mut Findings) -> ComponentNames {
    let names = ComponentNames::of(component);
    let size = component.len() as u64;
    if let Some(entry) = names.exports.iter().find(|export| export.starts_with("posemesh:runner/entry")) {
        findings.ok("world", format_args!("it exports {entry}"));
        // Types have plain names, and say nothing more than the entry does.
        for more in
            names.exports.iter().filter(|export| *export != entry && export.contains(':')).take(MAX_LISTED)
        {
            findings.warning(
                "world",
                format_args!("it exports {more}, too"),
                "a node calls nothing but the entry",
            );
        }
    }
    if !names.imports.is_empty() {
        let shown: Vec<&str> = names.imports.iter().take(MAX_LISTED).map(String::as_str).collect();
        let more = names.imports.len() - shown.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        findings.ok("imports", format_args!("{}{more}", shown.join(", ")));
    }
    if names.imports_of("wasi:sockets") {
        findings.ok("imports", "of wasi:sockets, as many toolchains do: every socket is refused");
    }
    if size > LARGE {
        match names.debug_info {
            true => findings.warning(
                "size",
                rounded(size),
                "it carries debug information: `wasm-tools strip` or the linker's `-s` removes it",
            ),
            // An interpreter has that size, and nothing an author does makes it smaller.
            false => findings.note(
                "size",
                rounded(size),
                "each node reads and compiles all of it; smaller is live sooner",
            ),
        }
    } else if size > 0 {
        findings.ok("size", rounded(size));
    }
    names
}

/// How long it took until it was compiled and had described itself.
pub(super) fn compiled(runner: &Generation, took: Duration, limit: Duration, findings: &mut Findings) {
    if runner.cached {
        findings.ok("compiling", "its code is in the cache");
    } else if took > limit / 2 {
        findings.warning(
            "compiling",
            format_args!("it took {took:.1?} here, and COMPILE_TIMEOUT_SECS is {limit:?}: a busier machine may not manage"),
            "make it smaller, or raise COMPILE_TIMEOUT_SECS on its nodes",
        );
    } else {
        findings.ok("compiling", format_args!("{took:.1?}"));
    }
}

/// What it says of itself.
pub(super) fn description(runner: &Generation, findings: &mut Findings) {
    let about = &runner.description;
    findings.ok(
        "describe",
        format_args!("{} {}, serves {}", about.name, about.version, about.capabilities.join(", ")),
    );
    if let Err(error) = semver::Version::parse(&about.version) {
        findings.warning(
            "describe",
            format_args!("its version {:?} is no semantic version: {error}", about.version),
            "write MAJOR.MINOR.PATCH, such as 1.0.0: people and tools compare versions by it",
        );
    }
    let unversioned = about.capabilities.iter().filter(|capability| !is_versioned(capability));
    for capability in unversioned {
        findings.warning(
            "describe",
            format_args!("its capability {capability} has no version"),
            "end it in /v1: what its parameters and artifacts mean may have to change one day",
        );
    }
    if about.license.is_none() {
        // No warning: a project that was just made has none either, and which one it gets is nobody else's to choose.
        findings.note(
            "describe",
            "it names no licence",
            "say one (SPDX), such as MIT: operators look for it",
        );
    }
}

/// Whether a capability ends in `/v1` and the like.
fn is_versioned(capability: &str) -> bool {
    let last = capability.rsplit('/').next().unwrap_or_default();
    last.strip_prefix('v')
        .is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// What it asks for and does not get, and what it could use without having asked.
pub(super) fn grants(runner: &Generation, names: &ComponentNames, findings: &mut Findings) {
    let grant = &runner.terms().grant;
    for asked in &grant.not_granted {
        findings.warning(
            "grants",
            format_args!("asked for and not granted: {asked}"),
            "the policy beside it, NAME.toml, grants; a node's RUNNER_MAX_ settings are its ceilings",
        );
    }
    let asks = !runner.description.network_hosts.is_empty();
    if names.imports_of("wasi:http") && !asks {
        findings.ok(
            "grants",
            "it imports wasi:http, as many toolchains do, and asks for no host: each request is denied",
        );
    }
    if asks && !names.imports_of("wasi:http") {
        findings.warning(
            "grants",
            "it asks for network hosts and imports no wasi:http, so it can't reach any",
            "leave `network-hosts` out of `describe`, or build it with an HTTP client of WASI",
        );
    }
}

/// What the operator's file says without effect.
pub(super) fn policy(policy: &Policy, runner: &Generation, findings: &mut Findings) {
    if !policy.enabled {
        findings.warning(
            "policy",
            "it has `enabled = false`",
            "no node loads the runner before that line goes",
        );
    }
    for nothing in policy.without_effect(&runner.description) {
        findings.warning("policy", nothing, "the line changes nothing: correct the name or remove it");
    }
}

fn rounded(bytes: u64) -> String {
    let unit = if bytes >= 1 << 20 { 1 << 20 } else { 1 << 10 };
    if bytes < unit { format!("{bytes} bytes") } else { ByteSize(bytes / unit * unit).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_have_versions_and_sizes_have_units() {
        assert!(is_versioned("/a/b/v1") && is_versioned("/v12"));
        assert!(
            !is_versioned("/a/b")
                && !is_versioned("/a/v")
                && !is_versioned("/a/v1x")
                && !is_versioned("/a/v1/")
        );
        assert_eq!(rounded(700), "700 bytes");
        assert_eq!(rounded(5000), "4KiB");
        assert_eq!(rounded((3 << 20) + 7), "3MiB");
    }
}
