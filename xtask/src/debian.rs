//! A toolchain for runners out of Debian's packages: Debian's compiler, the sources of its standard library,
//! and the linker of the active Rust toolchain. For machines that reach a Debian mirror but not rustup's
//! server.
//!
//! Debian's C library for WASI has no sockets: a guest that uses `std::net` does not link. WASI's own
//! interface, for example through the crate `wasip2`, works.

use std::env;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::process::Cmd;

/// The compiler, the sources of the standard library, and the C library that it needs.
pub(crate) const PACKAGES: [&str; 3] = ["rustc-web", "rust-web-src", "wasi-libc"];

/// The variable with flags for the compiler when it builds for the platform of runners.
pub(crate) const TARGET_FLAGS: &str = "CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS";

/// Where [`PACKAGES`] put the compiler.
const RUSTC: &str = "/usr/bin/rustc";

/// The C library is named by its path, because no linker looks there by default.
const RUSTFLAGS: &str = "-L native=/usr/lib/wasm32-wasi -C link-self-contained=no -C link-arg=-lc";

/// Debian's toolchain, ready for use.
pub(crate) struct Debian {
    /// The folder with the active toolchain's `wasm-component-ld` and `rust-lld`, which Debian lacks.
    linkers: PathBuf,
}

impl Debian {
    /// Combines Debian's compiler, which must be installed, with the linkers in `sysroot`.
    ///
    /// # Errors
    /// If `sysroot` has no linker for components.
    pub(crate) fn find(sysroot: &Path) -> Result<Self> {
        let platforms = sysroot.join("lib/rustlib");
        let entries = platforms.read_dir().with_context(|| format!("read {}", platforms.display()))?;
        let linkers = entries
            .flatten()
            .map(|platform| platform.path().join("bin"))
            .find(|bin| bin.join("wasm-component-ld").is_file());
        match linkers {
            Some(linkers) => Ok(Self { linkers }),
            None => bail!(
                "the active toolchain in {} has no wasm-component-ld to borrow; one from rustup has",
                sysroot.display()
            ),
        }
    }

    /// Makes a `cargo build` for the target use this toolchain, with more flags for the compiler.
    ///
    /// # Errors
    /// If the name of a folder contains the separator of `PATH`.
    pub(crate) fn apply(&self, cargo: Cmd, flags: &str) -> Result<Cmd> {
        let inherited = env::var_os("PATH").unwrap_or_default();
        let mut path = vec![self.linkers.clone(), self.linkers.join("gcc-ld")];
        path.extend(env::split_paths(&inherited));
        let path: OsString = env::join_paths(path).context("put the borrowed linkers into PATH")?;
        Ok(cargo
            .env_hidden("PATH", path)
            .env("RUSTC", RUSTC)
            // `build-std` is not stable, and this compiler is not a nightly one.
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_TARGET_WASM32_WASIP2_LINKER", self.linkers.join("wasm-component-ld"))
            .env(TARGET_FLAGS, format!("{RUSTFLAGS} {flags}"))
            .args(["-Z", "build-std=std,panic_abort"]))
    }
}

/// Whether all [`PACKAGES`] are installed.
pub(crate) fn is_installed() -> bool {
    PACKAGES.iter().all(|package| {
        let status = Cmd::new("dpkg-query").args(["-W", "-f=${db:Status-Status}", package]).output();
        status.is_ok_and(|status| status == "installed")
    })
}

/// Installs [`PACKAGES`].
///
/// # Errors
/// If this is not Debian, installing is not permitted, or the packages can't be downloaded.
pub(crate) fn install() -> Result<()> {
    apt_install(&PACKAGES)
}

/// Installs a C compiler.
///
/// # Errors
/// As [`install`].
pub(crate) fn install_c_compiler() -> Result<()> {
    apt_install(&["gcc", "libc6-dev"])
}

/// Installs `make`.
///
/// # Errors
/// As [`install`].
pub(crate) fn install_make() -> Result<()> {
    apt_install(&["make"])
}

/// Installs a browser without a window.
///
/// # Errors
/// As [`install`].
pub(crate) fn install_browser() -> Result<()> {
    apt_install(&["chromium-headless-shell"])
}

/// Installs Valgrind.
///
/// # Errors
/// As [`install`].
pub(crate) fn install_valgrind() -> Result<()> {
    apt_install(&["valgrind"])
}

/// Installs curl.
///
/// # Errors
/// As [`install`].
pub(crate) fn install_curl() -> Result<()> {
    apt_install(&["curl"])
}

/// Installs what makes a small Debian and boots it.
///
/// # Errors
/// As [`install`].
pub(crate) fn install_containers() -> Result<()> {
    apt_install(&["debootstrap", "systemd-container"])
}

fn apt_install(packages: &[&str]) -> Result<()> {
    if !Cmd::new("apt-get").arg("--version").works() {
        bail!("this is not Debian: there is no apt-get");
    }
    eprintln!("setup: installing {} with apt-get", packages.join(", "));
    apt_get()?.arg("update").output()?;
    apt_get()?.args(["install", "--yes", "--no-install-recommends"]).args(packages).output()?;
    Ok(())
}

/// `apt-get`, through `sudo` unless this user is root. `sudo` may ask for a password only on a terminal.
fn apt_get() -> Result<Cmd> {
    let root = Cmd::new("id").arg("-u").output()? == "0";
    let command = match (root, std::io::stdin().is_terminal()) {
        (true, _) => Cmd::new("apt-get"),
        (false, true) => Cmd::new("sudo").arg("apt-get"),
        (false, false) => Cmd::new("sudo").args(["-n", "apt-get"]),
    };
    Ok(command
        .env_hidden("DEBIAN_FRONTEND", "noninteractive")
        .args(["-qq", "-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=2"])
        .args(["-o", "Acquire::http::Timeout=30", "-o", "Acquire::https::Timeout=30"]))
}
