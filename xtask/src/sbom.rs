//! `sbom`: what the node is made of, as a CycloneDX document. Made of `cargo metadata` and the lock file, so that it needs
//! neither a tool nor the network, and is the same for the same sources.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::process::Cmd;
use crate::project::Project;

/// The package whose program is released.
const PROGRAM: &str = "posemesh-node";
/// The features of a release: traces, without the network of development.
pub(crate) const RELEASED: [&str; 2] = ["--no-default-features", "--features=otel"];
/// The version of the format.
const SPEC: &str = "1.5";

/// Builds the release, and writes its document beside it.
///
/// # Errors
/// If it can't be built, or the document can't be written.
pub(crate) fn release(project: &Project) -> Result<()> {
    let cargo = project.cargo("build").args(["--release", "--locked", "-p", PROGRAM]).args(RELEASED);
    built_from(project, cargo).run()?;
    let document = write(project)?;
    println!("{}\n{}", project.short(&project.released(PROGRAM)), project.short(&document));
    Ok(())
}

/// Lets a build know its commit, which the metric `posemesh_node_build_info` tells; sources without a history have none.
pub(crate) fn built_from(project: &Project, cargo: Cmd) -> Cmd {
    let commit = Cmd::new("git").dir(&project.root).args(["rev-parse", "--short=12", "HEAD"]).output();
    match commit {
        Ok(commit) => cargo.env("POSEMESH_NODE_COMMIT", commit),
        Err(_) => cargo,
    }
}

/// Writes the document of the release build and returns its path.
///
/// # Errors
/// If cargo does not tell what there is, or the file can't be written.
pub(crate) fn write(project: &Project) -> Result<PathBuf> {
    let rustc = Cmd::new("rustc").arg("-vV").output()?;
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    let metadata = project
        .cargo("metadata")
        .args(["--locked", "--format-version", "1", "--filter-platform", host])
        .args(["--manifest-path", "host/cli/Cargo.toml"])
        .args(RELEASED);
    let metadata: Value = serde_json::from_str(&metadata.output()?).context("read `cargo metadata`")?;
    let lock = fs::read_to_string(project.root.join("Cargo.lock")).context("read Cargo.lock")?;
    let document = document(&metadata, &checksums(&lock))?;
    let path = project.target.join("release").join(format!("{PROGRAM}.cdx.json"));
    fs::create_dir_all(project.target.join("release")).context("create target/release")?;
    fs::write(&path, serde_json::to_string_pretty(&document)? + "\n")
        .with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}

/// The checksums of the lock file, by name and version.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let field = |block: &str, name: &str| {
        let start = format!("{name} = \"");
        let line = block.lines().find_map(|line| line.strip_prefix(start.as_str()))?;
        Some(line.trim_end_matches('"').to_owned())
    };
    let entry = |block| Some(((field(block, "name")?, field(block, "version")?), field(block, "checksum")?));
    lock.split("[[package]]").filter_map(entry).collect()
}

/// The program, everything that is linked into it or builds it, and what depends on what.
fn document(metadata: &Value, checksums: &BTreeMap<(String, String), String>) -> Result<Value> {
    let list = |value: &Value, key: &str| -> Result<Vec<Value>> {
        Ok(value
            .get(key)
            .and_then(Value::as_array)
            .with_context(|| format!("there is no list `{key}`"))?
            .clone())
    };
    let id_of =
        |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut packages = BTreeMap::new();
    for package in list(metadata, "packages")? {
        packages.insert(id_of(&package, "id"), package);
    }
    let resolve = metadata.get("resolve").context("there is no `resolve`")?;
    let mut needs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for node in list(resolve, "nodes")? {
        let mut linked = BTreeSet::new();
        for dependency in list(&node, "deps")? {
            let kinds = list(&dependency, "dep_kinds")?;
            // What only tests need is not in the program.
            if kinds.iter().any(|kind| kind.get("kind").and_then(Value::as_str) != Some("dev")) {
                linked.insert(id_of(&dependency, "pkg"));
            }
        }
        needs.insert(id_of(&node, "id"), linked);
    }
    let is_program = |package: &Value| package.get("name").and_then(Value::as_str) == Some(PROGRAM);
    let (root, program) =
        packages.iter().find(|(_, package)| is_program(package)).context("the program is not there")?;
    let mut reached = BTreeSet::new();
    let mut waiting = vec![root.clone()];
    while let Some(id) = waiting.pop() {
        if reached.insert(id.clone()) {
            waiting.extend(needs.get(&id).into_iter().flatten().cloned());
        }
    }
    let found = |id: &String| packages.get(id).with_context(|| format!("there is no package {id}"));
    let mut components = Vec::new();
    let mut dependencies = Vec::new();
    for id in &reached {
        if id != root {
            components.push(component(found(id)?, "library", checksums));
        }
        let linked = needs.get(id).into_iter().flatten();
        let linked = linked.map(|id| found(id).map(reference)).collect::<Result<Vec<_>>>()?;
        dependencies.push(json!({"ref": reference(found(id)?), "dependsOn": linked}));
    }
    components.sort_by_key(|component| id_of(component, "bom-ref"));
    dependencies.sort_by_key(|dependency| id_of(dependency, "ref"));
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": SPEC,
        "version": 1,
        "metadata": {"component": component(program, "application", checksums)},
        "components": components,
        "dependencies": dependencies,
    }))
}

fn component(package: &Value, kind: &str, checksums: &BTreeMap<(String, String), String>) -> Value {
    let text = |key: &str| package.get(key).and_then(Value::as_str).unwrap_or_default();
    let mut component = json!({
        "type": kind,
        "bom-ref": reference(package),
        "name": text("name"),
        "version": text("version"),
        "purl": reference(package),
        "scope": "required",
    });
    let mut set = |key: &str, value: Value| {
        if let Some(fields) = component.as_object_mut() {
            fields.insert(key.to_owned(), value);
        }
    };
    if !text("license").is_empty() {
        // Some crates still write the old `/` for "or".
        let expression: Vec<&str> = text("license").split('/').map(str::trim).collect();
        set("licenses", json!([{"expression": expression.join(" OR ")}]));
    }
    if let Some(checksum) = checksums.get(&(text("name").to_owned(), text("version").to_owned())) {
        set("hashes", json!([{"alg": "SHA-256", "content": checksum}]));
    }
    if !text("repository").is_empty() {
        set("externalReferences", json!([{"type": "vcs", "url": text("repository")}]));
    }
    component
}

/// The package URL, which is how other databases call the crate.
fn reference(package: &Value) -> String {
    let text = |key: &str| package.get(key).and_then(Value::as_str).unwrap_or_default();
    format!("pkg:cargo/{}@{}", text("name"), text("version").replace('+', "%2B"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_what_is_linked_with_licence_and_checksum_and_nothing_of_the_tests() {
        let package = |name: &str, version: &str, license: &str| json!({"id": name, "name": name, "version": version, "license": license});
        let dependency = |name: &str, kind: Value| json!({"pkg": name, "dep_kinds": [{"kind": kind}]});
        let metadata = json!({
            "packages": [
                package("posemesh-node", "0.1.0", "MIT"), package("a", "1.0.0+b", "MIT/Apache-2.0"),
                package("b", "2.0.0", ""), package("proptest", "1.0.0", "MIT"),
            ],
            "resolve": {"nodes": [
                {"id": "posemesh-node", "deps": [dependency("a", Value::Null), dependency("proptest", "dev".into())]},
                {"id": "a", "deps": [dependency("b", "build".into())]},
                {"id": "b", "deps": []}, {"id": "proptest", "deps": []},
            ]},
        });
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0+b\"\nchecksum = \"c0ffee\"\n\n\
                    [[package]]\nname = \"b\"\nversion = \"2.0.0\"\n";
        let document = document(&metadata, &checksums(lock)).unwrap();
        assert_eq!(document["metadata"]["component"]["purl"], "pkg:cargo/posemesh-node@0.1.0");
        let components = document["components"].as_array().unwrap();
        let names: Vec<_> = components.iter().map(|one| one["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(components[0]["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert_eq!(components[0]["hashes"][0]["content"], "c0ffee");
        assert_eq!(components[0]["purl"], "pkg:cargo/a@1.0.0%2Bb");
        let of_a = document["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["ref"] == "pkg:cargo/a@1.0.0%2Bb");
        assert_eq!(of_a.unwrap()["dependsOn"], json!(["pkg:cargo/b@2.0.0"]));
    }
}
