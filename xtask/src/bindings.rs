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
const DIGESTS: &str = "sdk/bindings.sha256";
/// The generated packages of Go, with one beside them that is ours.
const GO: &str = "sdk/go/posemesh/internal/bindings";
/// What the bindings are made of, and what they are.
const FILES: [&str; 18] = [
    "wit/control.wit",
    "wit/inputs.wit",
    "wit/outputs.wit",
    "wit/types.wit",
    "wit/world.wit",
    "sdk/c/posemesh/bindings/runner.c",
    "sdk/c/posemesh/bindings/runner.h",
    "sdk/go/posemesh/internal/bindings/posemesh_runner_control/empty.s",
    "sdk/go/posemesh/internal/bindings/posemesh_runner_control/wit_bindings.go",
    "sdk/go/posemesh/internal/bindings/posemesh_runner_entry/empty.s",
    "sdk/go/posemesh/internal/bindings/posemesh_runner_entry/wit_bindings.go",
    "sdk/go/posemesh/internal/bindings/posemesh_runner_inputs/empty.s",
    "sdk/go/posemesh/internal/bindings/posemesh_runner_inputs/wit_bindings.go",
    "sdk/go/posemesh/internal/bindings/posemesh_runner_outputs/empty.s",
    "sdk/go/posemesh/internal/bindings/posemesh_runner_outputs/wit_bindings.go",
    "sdk/go/posemesh/internal/bindings/posemesh_runner_types/empty.s",
    "sdk/go/posemesh/internal/bindings/posemesh_runner_types/wit_bindings.go",
    "sdk/go/posemesh/internal/bindings/wit_exports.go",
];

/// Generates the bindings anew, with their digests.
///
/// # Errors
/// If the generator can't be installed, or refuses the contract, or a file can't be written.
pub(crate) fn write(project: &Project) -> Result<()> {
    let flags = ["--no-default-features", "--features=c,go"];
    let generator = tool::installed(project, "wit-bindgen-cli", WIT_BINDGEN, &flags)?;
    // Without the object file that holds the contract: `wasm-tools component embed` puts the contract in.
    Cmd::new(&generator)
        .args(["c", "wit", "--world", "runner", "--no-object-file", "--out-dir", "sdk/c/posemesh/bindings"])
        .dir(&project.root)
        .run()?;
    Cmd::new(&generator)
        .args(["go", "wit", "--world", "runner", "--quiet", "--out-dir", GO])
        .dir(&project.root)
        .run()?;
    inside_the_sdk(&project.root)?;
    let path = project.root.join(DIGESTS);
    fs::write(&path, digests(&project.root)?).with_context(|| format!("write {}", path.display()))?;
    eprintln!("{DIGESTS} was written anew; `cargo xtask test-plugins` tries the bindings");
    Ok(())
}

/// Makes packages of the SDK of what was generated as a program of its own that fetches what it needs at run time.
///
/// # Errors
/// If a file can't be read or written.
fn inside_the_sdk(root: &Path) -> Result<()> {
    let module = root.join(GO).join("go.mod");
    fs::remove_file(&module).with_context(|| format!("remove {}", module.display()))?;
    for file in FILES.iter().filter(|file| file.starts_with(GO) && file.ends_with(".go")) {
        let path = root.join(file);
        let text = fs::read_to_string(&path).with_context(|| format!("read {file}"))?;
        fs::write(&path, as_package(&text)).with_context(|| format!("write {file}"))?;
    }
    Ok(())
}

/// Generated Go as a package of the SDK.
fn as_package(text: &str) -> String {
    text.replace("\"wit_component/", "\"posemesh/internal/bindings/")
        .replace("\"go.bytecodealliance.org/pkg/wit/", "\"posemesh/internal/wit/")
        .replace("package main\n", "package bindings\n")
        .replace("// Unused, but present to make the compiler happy\nfunc main() {}\n", "")
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
    fn what_is_generated_for_go_becomes_a_package_of_the_sdk() {
        let generated =
            "package main\nimport (\n\"wit_component/a\"\nb \"go.bytecodealliance.org/pkg/wit/types\"\n)\n";
        let wanted = "package bindings\nimport (\n\"posemesh/internal/bindings/a\"\nb \"posemesh/internal/wit/types\"\n)\n";
        assert_eq!(as_package(generated), wanted);
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
