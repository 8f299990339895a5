//! What kind of project a folder is, how it is built, and where its component is then.

use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use posemesh_files::open_regular;
use posemesh_text::one_line;
use serde_json::Value;

/// The largest `package.json` that is read, in bytes.
const MAX_PACKAGE: u64 = 1 << 20;
/// How many names of files are shown.
const NAMED: usize = 8;
/// How much of a name is shown, in bytes.
const SHOWN_BYTES: usize = 400;

/// The folder that is watched, and what its author has said of it. It is asked before each build: `package.json` changes, and a
/// tool that was missing is installed.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub(super) dir: PathBuf,
    /// A line for the shell in place of the command of the project's kind.
    pub(super) build: Option<String>,
    /// The file that a build makes, relative to the folder.
    pub(super) component: Option<PathBuf>,
}

impl Asked {
    /// What the folder is now. Blocks.
    ///
    /// # Errors
    /// As [`Project::find`].
    pub(super) fn find(&self) -> Result<Project> {
        Project::find(&self.dir, self.build.as_deref(), self.component.as_deref())
    }
}

/// A folder with a runner that is written.
#[derive(Debug)]
pub(super) struct Project {
    /// The folder, without links.
    pub(super) dir: PathBuf,
    pub(super) build: BuildCommand,
    component: ComponentPlace,
    /// What a fresh project lacks, by a path in it, and what helps: told when a build fails.
    lacks: Option<(&'static str, &'static str)>,
    /// Whether the program of the build is what would be lacking: once it has started, nothing is.
    is_tool: bool,
}

/// The program that builds a project; its working directory is the project's folder.
#[derive(Debug)]
pub(super) struct BuildCommand {
    pub(super) program: OsString,
    pub(super) arguments: Vec<OsString>,
    pub(super) variables: Vec<(&'static str, OsString)>,
    /// Whether it says on its standard output, in the JSON of Cargo, what it has made.
    pub(super) is_cargo: bool,
    /// For people.
    pub(super) shown: String,
}

/// Where a build puts its component.
#[derive(Debug)]
enum ComponentPlace {
    /// Where Cargo says.
    Said,
    /// It is the only one directly in the folder.
    Only,
    At(PathBuf),
}

impl Project {
    /// Looks at a folder. `build` is a line for the shell in place of the command of the project's kind, `component` the
    /// file that a build makes, relative to the folder.
    ///
    /// # Errors
    /// When there is no such folder, or nothing in it says how it is built.
    pub(super) fn find(dir: &Path, build: Option<&str>, component: Option<&Path>) -> Result<Self> {
        let dir = dir.canonicalize().with_context(|| format!("the project {}", dir.display()))?;
        if !dir.is_dir() {
            bail!("{} is no folder: name that of the project", dir.display());
        }
        let has = |name: &str| dir.join(name).is_file();
        let mut project = if let Some(line) = build {
            Self::built_by(&dir, shell(line, line))
        } else if has("Cargo.toml") {
            Self::of_cargo(&dir)
        } else if has("package.json") {
            Self::of_npm(&dir)?
        } else if has("Makefile") {
            let make = command("make", &[], "make");
            Self { lacks: Some((".venv", VENV)), ..Self::built_by(&dir, make) }
        } else if has("app.py") {
            Self::of_python(&dir)
        } else {
            bail!(
                "nothing in {} says how it is built: there is no Cargo.toml, package.json, Makefile or app.py. Give the \
                 command with --build COMMAND",
                dir.display()
            );
        };
        if let Some(file) = component {
            project.component = ComponentPlace::At(dir.join(file));
        }
        Ok(project)
    }

    fn built_by(dir: &Path, build: BuildCommand) -> Self {
        Self { dir: dir.to_owned(), build, component: ComponentPlace::Only, lacks: None, is_tool: false }
    }

    /// As a release but without link-time optimisation, which takes most of the time of a build that follows a small change.
    fn of_cargo(dir: &Path) -> Self {
        let shown = "cargo build --target wasm32-wasip2, as --release but without link-time optimisation";
        let arguments = [
            "build",
            "--target",
            "wasm32-wasip2",
            "--message-format",
            "json-render-diagnostics",
            "--profile",
            "watch",
        ];
        let mut build = command("cargo", &arguments, shown);
        // A profile of its own: a release that was built stays as it is.
        for setting in ["inherits = \"release\"", "lto = false", "incremental = true", "codegen-units = 16"] {
            build.arguments.extend(["--config".into(), format!("profile.watch.{setting}").into()]);
        }
        build.is_cargo = true;
        Self { component: ComponentPlace::Said, ..Self::built_by(dir, build) }
    }

    /// The script `build`, run as npm does, but without the time that npm takes to start.
    fn of_npm(dir: &Path) -> Result<Self> {
        let path = dir.join("package.json");
        let package = read_json(&path).with_context(|| format!("reading {}", path.display()))?;
        let script = |name: &str| package.get("scripts")?.get(name)?.as_str();
        let Some(line) = script("build") else {
            bail!("{} has no script `build`; give the command with --build COMMAND", path.display());
        };
        let has_hooks = script("prebuild").is_some() || script("postbuild").is_some();
        let build = match has_hooks {
            true => command("npm", &["run", "build"], "npm run build"),
            false => {
                let mut build = shell(line, &format!("script `build` of package.json: {line}"));
                build.variables.push(("PATH", with_tools_of(dir, std::env::var_os("PATH").as_deref())));
                build
            }
        };
        Ok(Self { lacks: Some(("node_modules", "npm ci")), ..Self::built_by(dir, build) })
    }

    /// As the README of such a project says.
    fn of_python(dir: &Path) -> Self {
        let name = dir.file_name().map(|name| name.to_string_lossy().replace('-', "_")).unwrap_or_default();
        let file = only_component(dir).unwrap_or_else(|_| dir.join(format!("{name}.wasm")));
        let own = dir.join(".venv/bin/componentize-py");
        let program = if own.exists() { own.into_os_string() } else { "componentize-py".into() };
        let mut arguments: Vec<OsString> =
            ["-d", "wit", "-w", "runner", "componentize", "app", "-o"].map(OsString::from).into();
        arguments.push(file.clone().into_os_string());
        let shown = "componentize-py -d wit -w runner componentize app".to_owned();
        let build = BuildCommand { program, arguments, variables: Vec::new(), is_cargo: false, shown };
        Self {
            component: ComponentPlace::At(file),
            lacks: Some((".venv/bin/componentize-py", VENV)),
            is_tool: true,
            ..Self::built_by(dir, build)
        }
    }

    /// The component after a build; `said` is where Cargo says it is.
    ///
    /// # Errors
    /// When there is none, or more than one, in words that say what helps.
    pub(super) fn component(&self, said: Option<PathBuf>) -> Result<PathBuf> {
        match &self.component {
            ComponentPlace::At(file) => Ok(file.clone()),
            ComponentPlace::Only => only_component(&self.dir),
            ComponentPlace::Said => said.context(
                "the build made no component: the package needs `crate-type = [\"cdylib\"]` below [lib] in Cargo.toml",
            ),
        }
    }

    /// What a build that failed, or whose program was not even `started`, may lack, and what helps.
    pub(super) fn hint(&self, started: bool) -> Option<String> {
        let (path, cure) = self.lacks.filter(|_| !(started && self.is_tool))?;
        let is_missing = !self.dir.join(path).exists();
        is_missing
            .then(|| format!("there is no {path} in {}; its tools come with: {cure}", self.dir.display()))
    }
}

/// `PATH` of the scripts of a package: its own tools come first.
fn with_tools_of(dir: &Path, path: Option<&OsStr>) -> OsString {
    let mut own = dir.join("node_modules/.bin").into_os_string();
    if own.as_encoded_bytes().contains(&b':') {
        // Such a path can't stand there. The script begins in the folder.
        own = "node_modules/.bin".into();
    }
    if let Some(path) = path.filter(|path| !path.is_empty()) {
        own.push(":");
        own.push(path);
    }
    own
}

/// What brings the tools of projects that have them in `requirements.txt`.
const VENV: &str = "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt";

fn command(program: &str, arguments: &[&str], shown: &str) -> BuildCommand {
    BuildCommand {
        program: program.into(),
        arguments: arguments.iter().map(OsString::from).collect(),
        variables: Vec::new(),
        is_cargo: false,
        shown: shown.to_owned(),
    }
}

fn shell(line: &str, shown: &str) -> BuildCommand {
    command("sh", &["-c", line], &one_line(shown, SHOWN_BYTES))
}

fn read_json(path: &Path) -> Result<Value> {
    let mut text = String::new();
    open_regular(path)?.take(MAX_PACKAGE).read_to_string(&mut text)?;
    Ok(serde_json::from_str(&text)?)
}

/// The one component directly in a folder.
fn only_component(dir: &Path) -> Result<PathBuf> {
    let mut found = Vec::new();
    for entry in dir.read_dir().with_context(|| format!("looking into {}", dir.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "wasm") && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    let name = |path: &PathBuf| path.file_name().map(|name| one_line(name.to_string_lossy(), SHOWN_BYTES));
    match found.as_slice() {
        [only] => Ok(only.clone()),
        [] => bail!(
            "there is no .wasm file in {} after the build; say with --component FILE where it is",
            dir.display()
        ),
        several => bail!(
            "there are {} .wasm files in {} ({}); say with --component FILE which one the build makes",
            several.len(),
            dir.display(),
            several.iter().take(NAMED).filter_map(name).collect::<Vec<_>>().join(", ")
        ),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        dir
    }

    #[test]
    fn the_kind_of_a_project_says_how_it_is_built() {
        let with_script = r#"{"scripts": {"build": "componentize-qjs --output x.wasm"}}"#;
        let with_hook = r#"{"scripts": {"build": "x", "prebuild": "y"}}"#;
        for (files, program, shown) in [
            (
                &[("Cargo.toml", ""), ("Makefile", "")][..],
                "cargo",
                "cargo build --target wasm32-wasip2, as --release",
            ),
            (&[("package.json", with_script)], "sh", "script `build` of package.json: componentize-qjs"),
            (&[("package.json", with_hook)], "npm", "npm run build"),
            (&[("Makefile", ""), ("app.py", "")], "make", "make"),
            (&[("app.py", "")], "componentize-py", "componentize-py -d wit"),
        ] {
            let dir = folder(files);
            let project = Project::find(dir.path(), None, None).unwrap();
            assert_eq!(project.build.program, program);
            assert!(project.build.shown.starts_with(shown), "{}", project.build.shown);
            let own = Project::find(dir.path(), Some("make -s it"), None).unwrap();
            assert_eq!(own.build.arguments, ["-c", "make -s it"]);
        }
        let refusal = |dir: &Path| Project::find(dir, None, None).unwrap_err().to_string();
        assert!(refusal(folder(&[]).path()).contains("--build COMMAND"));
        assert!(refusal(folder(&[("package.json", "{}")]).path()).contains("no script `build`"));
    }

    #[test]
    fn the_component_is_the_only_one_or_the_one_that_is_named() {
        let dir = folder(&[("Makefile", "")]);
        let project = Project::find(dir.path(), None, None).unwrap();
        let refusal = |project: &Project| project.component(None).unwrap_err().to_string();
        assert!(refusal(&project).contains("no .wasm file"), "{}", refusal(&project));
        std::fs::write(dir.path().join("a.wasm"), "").unwrap();
        assert_eq!(project.component(None).unwrap(), project.dir.join("a.wasm"));
        std::fs::write(dir.path().join("b.wasm"), "").unwrap();
        assert!(refusal(&project).contains("(a.wasm, b.wasm)"), "{}", refusal(&project));
        let named = Project::find(dir.path(), None, Some(Path::new("b.wasm"))).unwrap();
        assert_eq!(named.component(None).unwrap(), project.dir.join("b.wasm"));
        assert!(project.hint(true).unwrap().contains("pip install"));
    }

    #[test]
    fn what_is_lacking_is_looked_for_before_each_build() {
        let dir = folder(&[("app.py", "")]);
        let asked = Asked { dir: dir.path().to_owned(), build: None, component: None };
        let project = asked.find().unwrap();
        assert!(
            project.hint(false).unwrap().contains("no .venv/bin/componentize-py"),
            "{:?}",
            project.hint(false)
        );
        assert_eq!(project.hint(true), None, "it is elsewhere then");
        std::fs::create_dir_all(dir.path().join(".venv/bin")).unwrap();
        std::fs::write(dir.path().join(".venv/bin/componentize-py"), "").unwrap();
        let project = asked.find().unwrap();
        assert_eq!(project.build.program, project.dir.join(".venv/bin/componentize-py"));
        assert_eq!(project.hint(false), None);
    }

    #[test]
    fn tools_of_a_package_are_found_whatever_its_folder_is_called() {
        let path = |dir: &str, path: Option<&str>| with_tools_of(Path::new(dir), path.map(OsStr::new));
        assert_eq!(path("/a/b", Some("/usr/bin:/bin")), "/a/b/node_modules/.bin:/usr/bin:/bin");
        assert_eq!(path("/a:b", Some("/bin")), "node_modules/.bin:/bin");
        assert_eq!(path("/a", None), "/a/node_modules/.bin");
        assert_eq!(path("/a", Some("")), "/a/node_modules/.bin");
    }
}
