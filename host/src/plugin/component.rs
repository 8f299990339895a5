//! From bytes to something that can be instantiated: verified, compiled, linked. Each step has its own
//! refusal, told in words.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use wasmtime::component::InstancePre;

use super::sandbox::Sandbox;
use super::state::RunState;

/// The package of the contract, and the version that this host serves.
const PACKAGE: &str = "posemesh:runner";
/// The newest version that is served; older ones of the same minor are too.
pub const WIT_VERSION: &str = "0.1.0";

/// What a component file may cost before it has proven anything.
#[derive(Debug, Clone, Copy)]
pub struct LoadLimits {
    /// The largest file.
    pub component_bytes: u64,
    /// How long compiling may take.
    pub compile: Duration,
}

impl Default for LoadLimits {
    fn default() -> Self {
        Self { component_bytes: 64 << 20, compile: Duration::from_secs(120) }
    }
}

/// Why a component can't be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file can't be read.
    #[error("reading {path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        error: std::io::Error,
    },
    /// It is larger than allowed.
    #[error("{path} has {bytes} bytes, more than the {limit} that a component may have")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// It is something else.
    #[error("{path} is not a WebAssembly component: {what}")]
    NotAComponent {
        /// The file.
        path: PathBuf,
        /// What it is, and what helps.
        what: String,
    },
    /// It does not compile.
    #[error("{path} does not compile, so it is broken or cut short: {cause}")]
    Compile {
        /// The file.
        path: PathBuf,
        /// What wasmtime says.
        cause: String,
    },
    /// Compiling took too long.
    #[error(
        "{path} took more than {limit:?} to compile; it may be made to hurt, or this machine is too slow"
    )]
    CompileTime {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit: Duration,
    },
    /// It speaks another contract.
    #[error("{path} does not fit the world posemesh:runner/runner@{WIT_VERSION}: {what}")]
    World {
        /// The file.
        path: PathBuf,
        /// Which interface, wanted and offered, and what to do.
        what: String,
    },
    /// It could not describe itself.
    #[error("{path} did not describe itself: {cause}")]
    Describe {
        /// The file.
        path: PathBuf,
        /// How `describe` ended.
        cause: String,
    },
    /// What it says of itself is not acceptable.
    #[error("{path} describes itself wrongly: {what}")]
    Description {
        /// The file.
        path: PathBuf,
        /// The field, its value and what is allowed.
        what: String,
    },
    /// The operator's file is broken.
    #[error("{path}: {what}")]
    Policy {
        /// `NAME.toml`.
        path: PathBuf,
        /// What is wrong in it.
        what: String,
    },
}

/// A component that is ready to be instantiated.
#[derive(Clone)]
pub struct Linked {
    /// Instantiates it.
    pub pre: InstancePre<RunState>,
    /// SHA-256 of the file, in hex.
    pub digest: String,
    /// Its bytes.
    pub bytes: u64,
}

/// Reads, verifies, compiles and links a component.
///
/// # Errors
/// At the first step that it does not pass.
pub async fn load(sandbox: Arc<Sandbox>, path: &Path, limits: LoadLimits) -> Result<Linked, LoadError> {
    let bytes = read(path, limits.component_bytes).await?;
    check_preamble(path, &bytes)?;
    let digest = hex::encode(Sha256::digest(&bytes));
    let size = bytes.len() as u64;
    let of = path.to_owned();
    let work = tokio::task::spawn_blocking(move || compile_and_link(&sandbox, &of, &bytes));
    let pre = match tokio::time::timeout(limits.compile, work).await {
        Ok(Ok(result)) => result?,
        Ok(Err(error)) => {
            return Err(LoadError::Compile { path: path.to_owned(), cause: error.to_string() });
        }
        Err(_) => return Err(LoadError::CompileTime { path: path.to_owned(), limit: limits.compile }),
    };
    Ok(Linked { pre, digest, bytes: size })
}

async fn read(path: &Path, limit: u64) -> Result<Vec<u8>, LoadError> {
    use tokio::io::AsyncReadExt as _;
    let failed = |error| LoadError::Read { path: path.to_owned(), error };
    let file = tokio::fs::File::open(path).await.map_err(failed)?;
    let length = file.metadata().await.map_err(failed)?.len();
    if length > limit {
        return Err(LoadError::TooLarge { path: path.to_owned(), bytes: length, limit });
    }
    let mut bytes = Vec::new();
    // It may grow while it is read.
    file.take(limit + 1).read_to_end(&mut bytes).await.map_err(failed)?;
    let length = bytes.len() as u64;
    if length > limit {
        return Err(LoadError::TooLarge { path: path.to_owned(), bytes: length, limit });
    }
    Ok(bytes)
}

fn check_preamble(path: &Path, bytes: &[u8]) -> Result<(), LoadError> {
    let what = match (bytes.get(..4), bytes.get(4..8)) {
        (Some(b"\0asm"), Some([0x0d, 0, 1, 0])) => return Ok(()),
        (Some(b"\0asm"), Some([1, 0, 0, 0])) => {
            "it is a core module; build for wasm32-wasip2, or wrap it with `wasm-tools component new`"
                .to_owned()
        }
        (Some(b"\0asm"), Some(version)) => format!("its binary version {version:02x?} is unknown"),
        (Some(b"\0asm"), None) => format!("it ends after {} bytes", bytes.len()),
        _ if bytes.is_empty() => "it is empty".to_owned(),
        _ => "it does not start with the bytes of WebAssembly, \"\\0asm\"".to_owned(),
    };
    Err(LoadError::NotAComponent { path: path.to_owned(), what })
}

fn compile_and_link(
    sandbox: &Sandbox,
    path: &Path,
    bytes: &[u8],
) -> Result<InstancePre<RunState>, LoadError> {
    let component = sandbox
        .compile(bytes)
        .map_err(|error| LoadError::Compile { path: path.to_owned(), cause: one_line(&error) })?;
    let ty = component.component_type();
    let engine = sandbox.engine();
    let imports: Vec<String> = ty.imports(engine).map(|(name, _)| name.to_owned()).collect();
    let exports: Vec<String> = ty.exports(engine).map(|(name, _)| name.to_owned()).collect();
    let world = |what| LoadError::World { path: path.to_owned(), what };
    check_world(&imports, &exports).map_err(world)?;
    sandbox.link(&component).map_err(|error| {
        world(format!("{}; build it against the WIT package of this node", one_line(&error)))
    })
}

/// Checks names and versions of what a component wants and gives, so that a mismatch is told in words.
fn check_world(imports: &[String], exports: &[String]) -> Result<(), String> {
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

/// An error with its causes in one bounded line.
pub fn one_line(error: &wasmtime::Error) -> String {
    let text = format!("{error:#}");
    let mut line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((end, _)) = line.char_indices().nth(1000) {
        line.truncate(end);
        line.push_str(" ...");
    }
    line
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

    #[test]
    fn core_modules_and_other_files_are_told_apart() {
        let path = Path::new("x.wasm");
        for (bytes, want) in [
            (&b"\0asm\x01\0\0\0"[..], "core module"),
            (b"\0asm", "ends after 4 bytes"),
            (b"", "empty"),
            (b"#!/bin/sh", "does not start with"),
        ] {
            let error = check_preamble(path, bytes).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
        check_preamble(path, b"\0asm\x0d\0\x01\0").unwrap();
    }
}
