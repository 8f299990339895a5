//! Builds guests: crates that are compiled to components. Runners are guests, and so are the small and hostile
//! components that only tests load.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::debian::TARGET_FLAGS;
use crate::output;
use crate::process::Cmd;
use crate::progress::{self, LongBuild, RUNNERS, TEST_GUESTS};
use crate::project::Project;
use crate::setup::{TARGET, Toolchain};

/// The profile that guests are built with.
const PROFILE: &str = "plugin";
/// Flags for the compiler of runners, beside the profile: every node runs components with SIMD.
const RUNNER_FLAGS: &str = "-C target-feature=+simd128";

/// A guest to be built.
struct Guest {
    /// The name of the component.
    name: String,
    /// The folder with the sources.
    source: PathBuf,
    /// The file that the compiler writes, relative to the profile's folder.
    artifact: PathBuf,
}

/// A built guest.
pub(crate) struct Component {
    /// The name of the runner's folder, or of the test guest's source file.
    pub(crate) name: String,
    /// The folder with the sources.
    pub(crate) source: PathBuf,
    /// The component itself.
    pub(crate) file: PathBuf,
}

/// Builds every runner: each folder in `plugins/` that has a manifest, as `target/plugins/NAME.wasm`.
///
/// # Errors
/// If a manifest can't be read, a runner does not compile or a file can't be written.
pub(crate) fn runners(project: &Project, toolchain: &Toolchain) -> Result<Vec<Component>> {
    let mut cargo = Cmd::cargo()
        .dir(&project.root)
        .arg("build")
        .cure("a runner must be a member of the workspace: see `members` in Cargo.toml");
    let mut guests = Vec::new();
    for (package, guest) in runners_in(&project.root.join("plugins"))? {
        cargo = cargo.args(["-p", &package]);
        guests.push(guest);
    }
    build(project, toolchain, (cargo, RUNNER_FLAGS), guests, &RUNNERS, &project.plugins())
}

/// Builds every guest of the tests: each file in `tests/guests/examples/`, as
/// `target/test-guests/NAME.wasm`.
///
/// # Errors
/// As [`runners`].
pub(crate) fn for_tests(project: &Project, toolchain: &Toolchain) -> Result<Vec<Component>> {
    let package = project.test_guests_manifest();
    let cargo = Cmd::cargo()
        .dir(&project.root)
        .args(["build", "--locked", "--examples", "--manifest-path"])
        .arg(&package);
    let guests = examples_in(&package.with_file_name("examples"))?;
    // As small as may be: many are loaded and compiled.
    build(project, toolchain, (cargo, ""), guests, &TEST_GUESTS, &project.test_guests())
}

/// Runs `cargo` for the target, with `flags` for the compiler, and puts `NAME.wasm` for each of `guests` into `out`. `step` is announced.
fn build(
    project: &Project,
    toolchain: &Toolchain,
    (cargo, flags): (Cmd, &str),
    guests: Vec<Guest>,
    step: &LongBuild,
    out: &Path,
) -> Result<Vec<Component>> {
    let names: Vec<_> = guests.iter().map(|guest| guest.name.as_str()).collect();
    output::prepare(out, &names)?;
    if guests.is_empty() {
        return Ok(Vec::new());
    }
    let is_built = |guest: &Guest| out.join(format!("{}.wasm", guest.name)).exists();
    progress::announce(step, guests.iter().all(is_built));
    // A target directory for each toolchain, because other flags would rebuild everything.
    let target = project.target.join(match toolchain {
        Toolchain::Active => "wasm",
        Toolchain::Debian(_) => "wasm-debian",
    });
    // Flags that are set for this machine (a linker, a CPU) mean nothing to a component, and RUSTFLAGS would
    // override the flags for the target.
    let cargo = cargo
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env_hidden("CARGO_TARGET_DIR", &target)
        .args(["--profile", PROFILE, "--target", TARGET]);
    match toolchain {
        Toolchain::Active => cargo.env(TARGET_FLAGS, flags).run()?,
        Toolchain::Debian(debian) => debian.apply(cargo, flags)?.run()?,
    }

    let compiled = target.join(TARGET).join(PROFILE);
    let mut components = Vec::new();
    for guest in guests {
        let file = out.join(format!("{}.wasm", guest.name));
        let (bytes, changed) = output::put(&compiled.join(&guest.artifact), &file)?;
        let state = if changed { "new" } else { "unchanged" };
        eprintln!("  {} ({} KiB, {state})", project.short(&file), bytes.div_ceil(1024));
        components.push(Component { name: guest.name, source: guest.source, file });
    }
    Ok(components)
}

/// The runners in `folder`, each with the name of its package, sorted by folder name.
fn runners_in(folder: &Path) -> Result<Vec<(String, Guest)>> {
    let mut runners = Vec::new();
    for source in entries(folder)? {
        let manifest = source.join("Cargo.toml");
        let Some(name) = source.file_name().and_then(|name| name.to_str()) else { continue };
        if !manifest.is_file() {
            continue;
        }
        let text = fs::read_to_string(&manifest).with_context(|| format!("read {}", manifest.display()))?;
        let Some(package) = name_in("package", &text) else {
            bail!("{} has no name in [package]", manifest.display());
        };
        let library = name_in("lib", &text).unwrap_or_else(|| package.clone());
        let artifact = PathBuf::from(format!("{}.wasm", library.replace('-', "_")));
        runners.push((package, Guest { name: name.to_owned(), source: source.clone(), artifact }));
    }
    Ok(runners)
}

/// The examples in `folder`, sorted by name.
fn examples_in(folder: &Path) -> Result<Vec<Guest>> {
    let mut examples = Vec::new();
    for source in entries(folder)? {
        let Some(name) = source.file_stem().and_then(|name| name.to_str()) else { continue };
        if source.extension().is_some_and(|extension| extension == "rs") {
            let artifact = Path::new("examples").join(format!("{}.wasm", name.replace('-', "_")));
            examples.push(Guest { name: name.to_owned(), source: folder.to_path_buf(), artifact });
        }
    }
    Ok(examples)
}

/// The paths in `folder`, sorted; none if there is no such folder.
pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    if folder.is_dir() {
        for entry in folder.read_dir().with_context(|| format!("read {}", folder.display()))? {
            paths.push(entry.with_context(|| format!("read {}", folder.display()))?.path());
        }
    }
    paths.sort();
    Ok(paths)
}

/// The value of `name = "..."` in `[table]` of a manifest.
fn name_in(table: &str, manifest: &str) -> Option<String> {
    let header = format!("[{table}]");
    manifest
        .lines()
        .map(str::trim)
        .skip_while(|line| *line != header)
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split_once('='))
        .find(|(key, _)| key.trim() == "name")
        .and_then(|(_, value)| value.split('"').nth(1))
        .map(str::to_owned)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_their_own_table() {
        let manifest =
            "[package]\nname = \"a-b\" # why\nversion = \"1\"\n[lib]\nname=\"c\"\n[[bin]]\nname = \"d\"\n";
        assert_eq!(name_in("package", manifest).as_deref(), Some("a-b"));
        assert_eq!(name_in("lib", manifest).as_deref(), Some("c"));
        assert_eq!(name_in("lib", "[package]\nname = \"x\"\n[lib]\ncrate-type = [\"cdylib\"]\n"), None);
    }

    #[test]
    fn a_runner_is_a_folder_with_a_manifest() {
        let folder = tempfile::tempdir().unwrap();
        let plugins = folder.path();
        fs::create_dir(plugins.join("notes")).unwrap();
        fs::create_dir(plugins.join("zeta")).unwrap();
        fs::write(plugins.join("zeta/Cargo.toml"), "[package]\nname = \"zeta-runner\"\n").unwrap();

        let found = runners_in(plugins).unwrap();
        let found: Vec<_> = found.iter().map(|(package, guest)| (package.as_str(), guest)).collect();
        assert_eq!(found.len(), 1, "a folder without a manifest is no runner");
        let (package, guest) = found.first().unwrap();
        assert_eq!((*package, guest.name.as_str()), ("zeta-runner", "zeta"));
        assert_eq!(guest.artifact, Path::new("zeta_runner.wasm"));
        assert!(runners_in(&plugins.join("missing")).unwrap().is_empty(), "no folder means no runners");
    }

    #[test]
    fn a_test_guest_is_a_source_file() {
        let folder = tempfile::tempdir().unwrap();
        let examples = folder.path();
        fs::write(examples.join("spin_twice.rs"), "").unwrap();
        fs::write(examples.join("README.md"), "").unwrap();
        let found = examples_in(examples).unwrap();
        let found: Vec<_> = found.iter().map(|guest| guest.artifact.as_path()).collect();
        assert_eq!(found, [Path::new("examples/spin_twice.wasm")]);
    }
}
