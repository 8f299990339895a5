//! The members of the workspace and what their manifests declare, as `cargo metadata` reports it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::project::Project;

/// A member of the workspace.
#[derive(Debug)]
pub(crate) struct Member {
    /// The member's folder, relative to the repository, for example `host/node`.
    pub(crate) folder: String,
    /// Everything that stands in the dependency tables of its manifest.
    pub(crate) dependencies: Vec<Dependency>,
    /// The root files of its library and programs; not those of tests and examples.
    pub(crate) roots: Vec<PathBuf>,
}

/// One declared dependency.
#[derive(Debug)]
pub(crate) struct Dependency {
    /// The package's name.
    pub(crate) name: String,
    /// The package's folder relative to the repository, if it is in the repository.
    pub(crate) folder: Option<String>,
    /// Whether only tests, examples and benchmarks get it.
    pub(crate) dev: bool,
    /// Whether a feature has to ask for it.
    pub(crate) optional: bool,
}

/// Reads the members of the workspace.
///
/// # Errors
/// If cargo can't read the manifests, or reports them in a way that this does not know.
pub(crate) fn members(project: &Project) -> Result<Vec<Member>> {
    let json = project.cargo("metadata").args(["--no-deps", "--format-version", "1"]).output()?;
    let json: Value = serde_json::from_str(&json).context("read what `cargo metadata` prints")?;
    parse(&json, &project.root)
}

/// Reads the members out of the JSON of `cargo metadata`, for the repository `root`.
fn parse(json: &Value, root: &Path) -> Result<Vec<Member>> {
    let mut members = array(json, "packages")?
        .iter()
        .map(|package| member(package, root))
        .collect::<Result<Vec<_>>>()
        .context("read what `cargo metadata` prints")?;
    members.sort_by(|a, b| a.folder.cmp(&b.folder));
    Ok(members)
}

fn member(package: &Value, root: &Path) -> Result<Member> {
    let manifest = Path::new(text(package, "manifest_path")?);
    let folder = manifest.parent().and_then(|folder| relative(folder, root));
    let folder = folder.with_context(|| format!("{} is not in the repository", manifest.display()))?;
    let dependencies = array(package, "dependencies")?
        .iter()
        .map(|dependency| {
            let path = dependency.get("path").and_then(Value::as_str);
            Ok(Dependency {
                name: text(dependency, "name")?.to_owned(),
                folder: path.and_then(|path| relative(Path::new(path), root)),
                dev: dependency.get("kind").and_then(Value::as_str) == Some("dev"),
                optional: dependency.get("optional").and_then(Value::as_bool).unwrap_or(false),
            })
        })
        .collect::<Result<_>>()?;
    let mut roots = Vec::new();
    for target in array(package, "targets")? {
        let kinds = array(target, "kind")?;
        let is_product = |kind: &str| ["lib", "rlib", "cdylib", "proc-macro", "bin"].contains(&kind);
        if kinds.iter().filter_map(Value::as_str).any(is_product) {
            roots.push(PathBuf::from(text(target, "src_path")?));
        }
    }
    Ok(Member { folder, dependencies, roots })
}

/// `path` below `root`, with `/` between the names wherever this runs.
fn relative(path: &Path, root: &Path) -> Option<String> {
    let names = path.strip_prefix(root).ok()?.iter().map(|name| name.to_str());
    Some(names.collect::<Option<Vec<_>>>()?.join("/"))
}

fn text<'a>(json: &'a Value, key: &str) -> Result<&'a str> {
    json.get(key).and_then(Value::as_str).with_context(|| format!("there is no text `{key}`"))
}

fn array<'a>(json: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    json.get(key).and_then(Value::as_array).with_context(|| format!("there is no list `{key}`"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_read_with_their_dependencies_and_without_their_tests() {
        let json = json!({"packages": [{
            "manifest_path": "/repo/host/cli/Cargo.toml",
            "dependencies": [
                {"name": "posemesh-devnet", "kind": null, "optional": true, "path": "/repo/devnet"},
                {"name": "proptest", "kind": "dev", "optional": false},
            ],
            "targets": [
                {"kind": ["bin"], "src_path": "/repo/host/cli/src/main.rs"},
                {"kind": ["test"], "src_path": "/repo/host/cli/tests/help.rs"},
            ],
        }]});
        let members = parse(&json, Path::new("/repo")).unwrap();
        assert_eq!(members.len(), 1);
        let cli = members.first().unwrap();
        assert_eq!(cli.folder, "host/cli");
        assert_eq!(cli.roots, [Path::new("/repo/host/cli/src/main.rs")]);
        let found: Vec<_> = cli
            .dependencies
            .iter()
            .map(|found| (found.name.as_str(), found.folder.as_deref(), found.dev, found.optional))
            .collect();
        let want = [("posemesh-devnet", Some("devnet"), false, true), ("proptest", None, true, false)];
        assert_eq!(found, want);
    }

    #[test]
    fn the_error_names_the_key_that_is_missing() {
        let json = json!({"packages": [{"manifest_path": "/repo/a/Cargo.toml"}]});
        let error = format!("{:#}", parse(&json, Path::new("/repo")).unwrap_err());
        assert!(error.contains("cargo metadata") && error.contains("`dependencies`"), "{error}");
    }
}
