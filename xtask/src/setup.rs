//! `setup`: finds a Rust toolchain that builds runners for `wasm32-wasip2`, or installs one.
//!
//! Each run chooses again among the toolchains on the disk, which takes a few milliseconds. The network is
//! used only if there is none.

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};

use crate::debian::{self, Debian};
use crate::process::Cmd;

/// The target that runners are compiled for.
pub(crate) const TARGET: &str = "wasm32-wasip2";

/// The variable that forces rustup or Debian.
pub(crate) const CHOICE: &str = "POSEMESH_GUEST_TOOLCHAIN";

/// The variable that names the browser for the test of the status page, or says `none`.
const BROWSER: &str = "POSEMESH_BROWSER";

/// What a browser without a window is called on Debian and elsewhere.
const BROWSERS: [&str; 4] = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];

/// Time limit for one download of the target by rustup (about 30 MB).
const RUSTUP_LIMIT: Duration = Duration::from_secs(120);

/// How often the download by rustup is tried.
const RUSTUP_TRIES: usize = 2;

/// A toolchain that builds runners.
pub(crate) enum Toolchain {
    /// The active toolchain.
    Active,
    /// Debian's compiler and standard library, with the linker of the active toolchain.
    Debian(Debian),
}

/// The sources of a toolchain that [`CHOICE`] can force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Rustup,
    Debian,
}

/// Finds a toolchain for runners, or installs one, and prints in one line which.
///
/// # Errors
/// If every source fails: with what was tried, why it did not work, and what helps.
pub(crate) fn toolchain() -> Result<Toolchain> {
    c_compiler()?;
    let forced = forced(env::var(CHOICE).ok().as_deref())?;
    let sysroot = sysroot()?;
    let mut tried = Vec::new();

    if forced != Some(Source::Debian) {
        if has_target(&sysroot) {
            eprintln!("setup: {TARGET} from the active toolchain, {}", sysroot.display());
            return Ok(Toolchain::Active);
        }
        tried.push(format!("the active toolchain: no {TARGET} in {}", sysroot.display()));
    }
    // What is installed already comes before what would have to be downloaded.
    if forced != Some(Source::Rustup) && debian::is_installed() {
        match Debian::find(&sysroot) {
            Ok(debian) => return Ok(found_debian(debian)),
            Err(error) => tried.push(format!("Debian's packages: {error}")),
        }
    }
    if forced != Some(Source::Debian) {
        match rustup_target_add() {
            Ok(()) if has_target(&sysroot) => {
                eprintln!("setup: {TARGET} added by rustup");
                return Ok(Toolchain::Active);
            }
            Ok(()) => tried.push(format!(
                "rustup: it added {TARGET}, but not to {}, the toolchain that builds this",
                sysroot.display()
            )),
            Err(error) => tried.push(format!("rustup: {error}")),
        }
    }
    if forced != Some(Source::Rustup) && !debian::is_installed() {
        match debian::install().and_then(|()| Debian::find(&sysroot)) {
            Ok(debian) => return Ok(found_debian(debian)),
            Err(error) => tried.push(format!("Debian's packages: {error}")),
        }
    }
    bail!("{}", nothing_works(&tried, forced))
}

/// The browser for the test of the status page: the one that `POSEMESH_BROWSER` names, one that is installed, or Debian's,
/// which is installed then. The word `none`, with which that test is left out, if there is none to be had.
pub(crate) fn browser() -> PathBuf {
    if let Some(chosen) = env::var_os(BROWSER).filter(|chosen| !chosen.is_empty()) {
        return PathBuf::from(chosen);
    }
    let installed = || BROWSERS.into_iter().find(|name| Cmd::new(*name).arg("--version").works());
    let found = installed().or_else(|| match debian::install_browser() {
        Ok(()) => installed(),
        Err(error) => {
            eprintln!("setup: no browser, so the status page is not tried in one: {error}");
            None
        }
    });
    found.and_then(in_path).unwrap_or_else(|| PathBuf::from("none"))
}

/// Where a program lies that is called by its name.
fn in_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(name)).find(|program| program.is_file())
}

fn found_debian(debian: Debian) -> Toolchain {
    eprintln!("setup: {TARGET} built from Debian's sources (the first build takes a minute longer)");
    Toolchain::Debian(debian)
}

fn nothing_works(tried: &[String], forced: Option<Source>) -> String {
    let mut text = format!("found no way to build runners for {TARGET}. What was tried:");
    for (number, what) in tried.iter().enumerate() {
        text.push_str(&format!("\n  {}. {}", number + 1, what.replace('\n', "\n     ")));
    }
    if let Some(source) = forced {
        let value = if source == Source::Rustup { "rustup" } else { "debian" };
        text.push_str(&format!("\nNothing else, because {CHOICE}={value} is set."));
    }
    text.push_str(&format!(
        "\nWhat helps: `rustup target add {TARGET}` where rustup's server can be reached, or on Debian\n\
         `apt-get install {}`. Then run this again.",
        debian::PACKAGES.join(" ")
    ));
    text
}

fn forced(value: Option<&str>) -> Result<Option<Source>> {
    match value.map(str::trim) {
        None | Some("") => Ok(None),
        Some("rustup") => Ok(Some(Source::Rustup)),
        Some("debian") => Ok(Some(Source::Debian)),
        Some(other) => bail!("{CHOICE}={other}: it can be `rustup`, `debian` or unset"),
    }
}

/// The folder with the libraries and the linker of the active compiler.
fn sysroot() -> Result<PathBuf> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let cure = "install Rust with rustup, or set RUSTC to a working compiler";
    Ok(PathBuf::from(Cmd::new(rustc).args(["--print", "sysroot"]).cure(cure).output()?))
}

/// Whether `sysroot` has a standard library for runners.
fn has_target(sysroot: &Path) -> bool {
    let library = sysroot.join("lib/rustlib").join(TARGET).join("lib");
    let Ok(files) = library.read_dir() else { return false };
    files.flatten().any(|file| file.file_name().to_string_lossy().starts_with("libstd-"))
}

fn rustup_target_add() -> Result<()> {
    if !Cmd::new("rustup").arg("--version").works() {
        bail!("it is not installed");
    }
    let mut result = Ok(());
    for _ in 0..RUSTUP_TRIES {
        result = Cmd::new("rustup").args(["target", "add", TARGET]).time_limit(RUSTUP_LIMIT).run();
        if result.is_ok() {
            break;
        }
    }
    result
}

/// Makes sure that there is a C compiler. `ring` contains C code, and without a compiler its build script fails
/// with a message far from the cause.
fn c_compiler() -> Result<()> {
    let chosen = env::var("CC").unwrap_or_default();
    // CC may carry arguments: the first word is the program.
    let program = chosen.split_whitespace().next().unwrap_or("cc");
    if Cmd::new(program).arg("--version").works() {
        return Ok(());
    }
    if !chosen.trim().is_empty() {
        bail!("CC={chosen}: it can't be started; set CC to a working C compiler, or unset it to use `cc`");
    }
    if let Err(error) = debian::install_c_compiler() {
        bail!(
            "there is no C compiler: `cc` can't be started, and {error}\n  what helps: install gcc or clang \
             (Debian: `apt-get install gcc libc6-dev`), or set CC to the one you have"
        );
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_source_can_be_forced_and_a_typing_error_is_reported() {
        assert_eq!(forced(None).unwrap(), None);
        assert_eq!(forced(Some(" ")).unwrap(), None);
        assert_eq!(forced(Some("debian")).unwrap(), Some(Source::Debian));
        assert_eq!(forced(Some("rustup")).unwrap(), Some(Source::Rustup));
        let error = forced(Some("rustap")).unwrap_err().to_string();
        assert!(error.contains("rustap") && error.contains("`rustup`"), "{error}");
    }

    #[test]
    fn the_error_lists_what_was_tried_and_what_helps() {
        let tried = ["rustup: it is not installed".to_owned(), "Debian's packages: no\napt-get".to_owned()];
        let text = nothing_works(&tried, Some(Source::Debian));
        assert!(
            text.contains("\n  1. rustup: it is not installed\n  2. Debian's packages: no\n     apt-get")
        );
        assert!(text.contains("POSEMESH_GUEST_TOOLCHAIN=debian is set"), "{text}");
        assert!(text.contains("rustup target add wasm32-wasip2"), "{text}");
    }

    #[test]
    fn a_folder_without_a_standard_library_is_not_a_toolchain() {
        assert!(!has_target(Path::new("/nonexistent")));
    }
}
