//! Bindings of the contract for languages whose generator an author should not have to build: made here, and checked in with
//! the SDK. The digests beside them say of which files of `wit/` they were made; a test compares them.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use sha2::{Digest as _, Sha256};

use crate::process::Cmd;
use crate::project::Project;
use crate::tool;

/// The version of the generator.
const WIT_BINDGEN: &str = "0.63.0";
/// The digests of the contract and of the bindings, as `sha256sum` writes and checks them.
const DIGESTS: &str = "sdk/c/bindings.sha256";
/// What the bindings are made of, and what they are.
const FILES: [&str; 7] = [
    "wit/control.wit",
    "wit/inputs.wit",
    "wit/outputs.wit",
    "wit/types.wit",
    "wit/world.wit",
    "sdk/c/posemesh/bindings/runner.c",
    "sdk/c/posemesh/bindings/runner.h",
];

/// Generates the bindings anew, with their digests.
///
/// # Errors
/// If the generator can't be installed, or refuses the contract, or a file can't be written.
pub(crate) fn write(project: &Project) -> Result<()> {
    let flags = ["--no-default-features", "--features=c"];
    let generator = tool::installed(project, "wit-bindgen-cli", WIT_BINDGEN, &flags)?;
    // Without the object file that holds the contract: `wasm-tools component embed` puts the contract in.
    Cmd::new(generator)
        .args(["c", "wit", "--world", "runner", "--no-object-file", "--out-dir", "sdk/c/posemesh/bindings"])
        .dir(&project.root)
        .run()?;
    let path = project.root.join(DIGESTS);
    fs::write(&path, digests(&project.root)?).with_context(|| format!("write {}", path.display()))?;
    eprintln!("{DIGESTS} was written anew; `cargo xtask test-plugins` tries the bindings");
    Ok(())
}

/// The lines of [`DIGESTS`].
fn digests(root: &Path) -> Result<String> {
    FILES
        .iter()
        .map(|file| {
            let bytes = fs::read(root.join(file)).with_context(|| format!("read {file}"))?;
            Ok(format!("{}  {file}\n", hex::encode(Sha256::digest(bytes))))
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_bindings_are_those_of_the_contract() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let noted = fs::read_to_string(root.join(DIGESTS)).unwrap();
        assert_eq!(
            noted,
            digests(&root).unwrap(),
            "the contract or a generated file changed: `cargo xtask bindings`"
        );
    }

    #[test]
    fn no_file_of_the_contract_is_forgotten() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut found: Vec<String> = fs::read_dir(root.join("wit"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".wit"))
            .map(|name| format!("wit/{name}"))
            .collect();
        found.sort();
        let listed: Vec<&str> = FILES.into_iter().filter(|file| file.starts_with("wit/")).collect();
        assert_eq!(found, listed);
    }
}
