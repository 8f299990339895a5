//! Makes the machine able to build runners: finds a Rust toolchain for `wasm32-wasip2`, or installs one.
//!
//! The choice is made anew at each run, from what is on the disk, and costs a few milliseconds. The
//! network is asked only if nothing is there.

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};

use crate::debian::{self, Debian};
use crate::process::Cmd;

/// What runners are compiled to.
pub const TARGET: &str = "wasm32-wasip2";

/// The variable that forces one of the ways.
pub const CHOICE: &str = "POSEMESH_GUEST_TOOLCHAIN";

/// How long rustup may take to fetch the target (about 30 MB).
const RUSTUP_LIMIT: Duration = Duration::from_secs(120);

/// How often rustup is asked.
const RUSTUP_TRIES: usize = 2;

/// A toolchain that builds runners.
pub enum Toolchain {
    /// The active one.
    Active,
    /// Debian's compiler and sources, with the active toolchain's linker.
    Debian(Debian),
}

/// The ways to a toolchain that [`CHOICE`] can force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Rustup,
    Debian,
}

/// Finds a toolchain for runners, or installs one, and says which in one line.
///
/// # Errors
/// With everything that was tried, why it did not work, and what helps.
pub fn toolchain() -> Result<Toolchain> {
    c_compiler()?;
    let forced = forced(env::var(CHOICE).ok().as_deref())?;
    let sysroot = sysroot()?;
    let mut tried = Vec::new();

    if forced != Some(Way::Debian) {
        if has_target(&sysroot) {
            eprintln!("setup: {TARGET} from the active toolchain, {}", sysroot.display());
            return Ok(Toolchain::Active);
        }
        tried.push(format!("the active toolchain: no {TARGET} in {}", sysroot.display()));
    }
    // What is installed already comes before what would have to be fetched.
    if forced != Some(Way::Rustup) && debian::is_installed() {
        match Debian::find(&sysroot) {
            Ok(debian) => return Ok(found_debian(debian)),
            Err(error) => tried.push(format!("Debian's packages: {error}")),
        }
    }
    if forced != Some(Way::Debian) {
        match rustup_target_add() {
            Ok(()) if has_target(&sysroot) => {
                eprintln!("setup: {TARGET} added by rustup");
                return Ok(Toolchain::Active);
            }
            Ok(()) => tried.push(format!(
                "rustup: it has {TARGET}, but not for {}, the toolchain that builds this",
                sysroot.display()
            )),
            Err(error) => tried.push(format!("rustup: {error}")),
        }
    }
    if forced != Some(Way::Rustup) && !debian::is_installed() {
        match debian::install().and_then(|()| Debian::find(&sysroot)) {
            Ok(debian) => return Ok(found_debian(debian)),
            Err(error) => tried.push(format!("Debian's packages: {error}")),
        }
    }
    bail!("{}", nothing_works(&tried, forced))
}

fn found_debian(debian: Debian) -> Toolchain {
    eprintln!("setup: {TARGET} built from Debian's sources (the first build takes a minute longer)");
    Toolchain::Debian(debian)
}

fn nothing_works(tried: &[String], forced: Option<Way>) -> String {
    let mut text = format!("found no way to build runners for {TARGET}. What was tried:");
    for (number, what) in tried.iter().enumerate() {
        text.push_str(&format!("\n  {}. {}", number + 1, what.replace('\n', "\n     ")));
    }
    if let Some(way) = forced {
        let value = if way == Way::Rustup { "rustup" } else { "debian" };
        text.push_str(&format!("\nNothing else, because {CHOICE}={value} is set."));
    }
    text.push_str(&format!(
        "\nWhat helps: `rustup target add {TARGET}` where rustup's server can be reached, or on Debian\n\
         `apt-get install {}`. Then run this again.",
        debian::PACKAGES.join(" ")
    ));
    text
}

fn forced(value: Option<&str>) -> Result<Option<Way>> {
    match value.map(str::trim) {
        None | Some("") => Ok(None),
        Some("rustup") => Ok(Some(Way::Rustup)),
        Some("debian") => Ok(Some(Way::Debian)),
        Some(other) => bail!("{CHOICE}={other}: it can be `rustup`, `debian` or unset"),
    }
}

/// Where the active compiler has its libraries and its linker.
fn sysroot() -> Result<PathBuf> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let cure = "install Rust with rustup, or set RUSTC to a working compiler";
    Ok(PathBuf::from(Cmd::new(rustc).args(["--print", "sysroot"]).cure(cure).output()?))
}

/// Whether a standard library for runners is in `sysroot`.
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
        result = Cmd::new("rustup").args(["target", "add", TARGET]).limit(RUSTUP_LIMIT).run();
        if result.is_ok() {
            break;
        }
    }
    result
}

/// `ring` is part C: without a compiler its build script fails far from the cause.
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
    fn the_way_can_be_forced_and_a_typing_error_is_told() {
        assert_eq!(forced(None).unwrap(), None);
        assert_eq!(forced(Some(" ")).unwrap(), None);
        assert_eq!(forced(Some("debian")).unwrap(), Some(Way::Debian));
        assert_eq!(forced(Some("rustup")).unwrap(), Some(Way::Rustup));
        let error = forced(Some("rustap")).unwrap_err().to_string();
        assert!(error.contains("rustap") && error.contains("`rustup`"), "{error}");
    }

    #[test]
    fn the_error_lists_what_was_tried_and_what_helps() {
        let tried = ["rustup: it is not installed".to_owned(), "Debian's packages: no\napt-get".to_owned()];
        let text = nothing_works(&tried, Some(Way::Debian));
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
