//! Our runners in other languages than Rust: the folders in `plugins/` that have another manifest than Cargo's. Each is tested in
//! its own language, built with the toolchain that `plugin new` names for that language, and run through its test cases.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::guests::{self, Component};
use crate::languages::{self, Need};
use crate::output;
use crate::process::Cmd;
use crate::project::Project;
use crate::templates;

/// A language, with what its manifest is called. The first that a folder has decides: a runner in Go has a Makefile too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Python,
    JavaScript,
    Go,
    C,
}

impl Language {
    /// Each language.
    pub(crate) const ALL: [Self; 4] = [Self::Python, Self::JavaScript, Self::Go, Self::C];

    /// What people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Python => "Python",
            Self::JavaScript => "JavaScript",
            Self::Go => "Go",
            Self::C => "C",
        }
    }

    /// What builds components of it: a program or a folder, as [`languages`] says. None if it is missing and may be.
    ///
    /// # Errors
    /// If it is required, and neither there nor to be installed.
    pub(crate) fn toolchain(self, project: &Project, need: Need) -> Result<Option<PathBuf>> {
        match self {
            Self::Python => languages::python(project, need),
            Self::JavaScript => languages::javascript(project, need),
            Self::Go => languages::go(project, need),
            Self::C => languages::c(project, need),
        }
    }
}

/// The languages by their manifests.
const MANIFESTS: [(&str, Language); 4] = [
    ("pyproject.toml", Language::Python),
    ("package.json", Language::JavaScript),
    ("go.mod", Language::Go),
    ("Makefile", Language::C),
];

/// The sources of a runner.
pub(crate) struct Runner {
    /// The name of its folder, and of the component.
    pub(crate) name: String,
    folder: PathBuf,
    language: Language,
}

/// The runners in a language, sorted by name.
///
/// # Errors
/// If `plugins/` can't be read.
pub(crate) fn in_language(project: &Project, language: Language) -> Result<Vec<Runner>> {
    let mut runners = found(&project.root.join("plugins"))?;
    runners.retain(|runner| runner.language == language);
    Ok(runners)
}

/// The runners in a folder.
fn found(folder: &Path) -> Result<Vec<Runner>> {
    let mut runners = Vec::new();
    for folder in guests::entries(folder)? {
        let Some(name) = folder.file_name().and_then(|name| name.to_str()) else { continue };
        if folder.join("Cargo.toml").is_file() {
            continue;
        }
        let manifest = MANIFESTS.iter().find(|(manifest, _)| folder.join(manifest).is_file());
        if let Some((_, language)) = manifest {
            runners.push(Runner { name: name.to_owned(), folder: folder.clone(), language: *language });
        }
    }
    Ok(runners)
}

/// Tests a runner in its language and builds it, with `tool`, its language's toolchain.
///
/// # Errors
/// If it fails its tests, does not build, or a file can't be written.
pub(crate) fn build(project: &Project, runner: &Runner, tool: &Path) -> Result<Component> {
    let made = project.target.join("runners").join(&runner.name);
    fs::create_dir_all(&made).with_context(|| format!("make the folder {}", made.display()))?;
    let component = made.join(format!("{}.wasm", runner.name));
    match runner.language {
        Language::Python => python(project, runner, tool, &component)?,
        Language::JavaScript => javascript(project, runner, tool, &component)?,
        Language::C | Language::Go => {
            let adapter = languages::adapter(project)?;
            let make = |target: &str| {
                templates::make(project, tool, &runner.folder, target)
                    .env("BUILD", &made)
                    .env_hidden("ADAPTER", &adapter)
                    .run()
            };
            make("test")?;
            make("component")?;
        }
    }
    let out = project.language_plugins();
    fs::create_dir_all(&out).with_context(|| format!("make the folder {}", out.display()))?;
    let file = out.join(format!("{}.wasm", runner.name));
    let (bytes, _) = output::put(&component, &file)?;
    eprintln!("  {} ({} KiB)", project.short(&file), bytes.div_ceil(1024));
    Ok(Component { name: runner.name.clone(), source: runner.folder.clone(), file })
}

fn python(project: &Project, runner: &Runner, componentize: &Path, component: &Path) -> Result<()> {
    let sdk = project.root.join("sdk/python");
    // No compiled modules beside the sources.
    Cmd::new("python3").args(["-B", "-m", "unittest"]).dir(&runner.folder).env("PYTHONPATH", &sdk).run()?;
    Cmd::new(componentize)
        .arg("-d")
        .arg(project.root.join("wit"))
        .args(["-w", "runner", "componentize", "-p", ".", "-p"])
        .arg(&sdk)
        .args(["app", "-o"])
        .arg(component)
        .dir(&runner.folder)
        .run()
}

fn javascript(project: &Project, runner: &Runner, componentize: &Path, component: &Path) -> Result<()> {
    Cmd::new("node").arg("--test").dir(&runner.folder).run()?;
    // The SDK is outside of the runner's folder.
    Cmd::new(componentize)
        .args(["--wit", "wit", "--world", "runner", "--module-root", ".", "--sync", "--js"])
        .arg(runner.folder.join("main.js"))
        .arg("--output")
        .arg(component)
        .dir(&project.root)
        .run()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_says_the_language() {
        let plugins = tempfile::tempdir().unwrap();
        for (name, manifests) in [
            ("a", &["pyproject.toml"][..]),
            ("b", &["Makefile", "go.mod"]),
            ("c", &["Makefile"]),
            ("d", &["package.json"]),
            ("e", &["Cargo.toml", "Makefile"]),
            ("f", &["README.md"]),
        ] {
            fs::create_dir(plugins.path().join(name)).unwrap();
            for manifest in manifests {
                fs::write(plugins.path().join(name).join(manifest), "").unwrap();
            }
        }
        let found = found(plugins.path()).unwrap();
        let found: Vec<_> = found.iter().map(|runner| (runner.name.as_str(), runner.language)).collect();
        assert_eq!(
            found,
            [("a", Language::Python), ("b", Language::Go), ("c", Language::C), ("d", Language::JavaScript)]
        );
    }

    #[test]
    fn every_folder_of_ours_is_a_runner_that_is_built_and_has_cases() {
        let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins");
        let runners = found(&plugins).unwrap();
        for folder in guests::entries(&plugins).unwrap().into_iter().filter(|path| path.is_dir()) {
            let is_found = runners.iter().any(|runner| runner.folder == folder);
            assert!(is_found || folder.join("Cargo.toml").is_file(), "{}: no manifest", folder.display());
            assert!(folder.join("cases").is_dir(), "{}: no test cases", folder.display());
        }
    }
}
