//! The paths of the repository, of the target directory, and of what is built into it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::process::Cmd;

/// The folders of the fuzz targets, in the repository: a workspace each.
pub(crate) const FUZZ: [&str; 2] = ["host/domain-data/fuzz", "host/plugin-host/fuzz"];

/// The repository and the target directory. All paths are absolute.
pub(crate) struct Project {
    /// The repository.
    pub(crate) root: PathBuf,
    /// `CARGO_TARGET_DIR`, or `target` in the repository.
    pub(crate) target: PathBuf,
}

impl Project {
    /// Finds the repository and the target directory.
    ///
    /// # Errors
    /// If the working directory is unknown, or this crate is not in a folder of the repository.
    pub(crate) fn find() -> Result<Self> {
        let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = xtask.parent().context("find the repository: xtask has no folder above it")?;
        let target = std::env::var_os("CARGO_TARGET_DIR").filter(|dir| !dir.is_empty());
        let target = match target {
            Some(dir) => std::path::absolute(dir).context("make CARGO_TARGET_DIR absolute")?,
            None => root.join("target"),
        };
        Ok(Self { root: root.to_path_buf(), target })
    }

    /// The built runners.
    pub(crate) fn plugins(&self) -> PathBuf {
        self.target.join("plugins")
    }

    /// The built runners in other languages than Rust. Apart from the others: a node needs seconds to compile an interpreter,
    /// which neither the demo nor a test should wait for.
    pub(crate) fn language_plugins(&self) -> PathBuf {
        self.target.join("language-plugins")
    }

    /// The built guests that only tests load.
    pub(crate) fn test_guests(&self) -> PathBuf {
        self.target.join("test-guests")
    }

    /// What a node has compiled of the runners and of the guests, so that those of the tests need not.
    pub(crate) fn test_cache(&self) -> PathBuf {
        self.target.join("test-cache")
    }

    /// The programs that were built without `--release`.
    pub(crate) fn debug(&self) -> PathBuf {
        self.target.join("debug")
    }

    /// The simulation of the control plane, built with the profile of that name.
    pub(crate) fn simulation(&self) -> PathBuf {
        self.target.join("simulation").join(executable("posemesh-simulate"))
    }

    /// The node, built without `--release`.
    pub(crate) fn node(&self) -> PathBuf {
        self.debug().join(executable("posemesh-node"))
    }

    /// The program `name`, built with `--release`.
    pub(crate) fn released(&self, name: &str) -> PathBuf {
        self.target.join("release").join(executable(name))
    }

    /// The target directory of the reference workspace.
    pub(crate) fn reference_target(&self) -> PathBuf {
        self.target.join("reference")
    }

    /// The reference node, built in `profile` (`debug` or `release`).
    pub(crate) fn reference_node(&self, profile: &str) -> PathBuf {
        self.reference_target().join(profile).join(executable("reference-node"))
    }

    /// The reference domain client, built in `profile` (`debug` or `release`).
    pub(crate) fn reference_domain_client(&self, profile: &str) -> PathBuf {
        self.reference_target().join(profile).join(executable("reference-domain-client"))
    }

    /// The manifest of the reference workspace.
    pub(crate) fn reference_manifest(&self) -> PathBuf {
        self.root.join("tests/reference/Cargo.toml")
    }

    /// The manifest of the program that calls Extism.
    pub(crate) fn extism_manifest(&self) -> PathBuf {
        self.root.join("bench/extism/Cargo.toml")
    }

    /// The manifest of the guests that only tests load.
    pub(crate) fn test_guests_manifest(&self) -> PathBuf {
        self.root.join("tests/guests/Cargo.toml")
    }

    /// The manifests of the fuzz targets.
    pub(crate) fn fuzz_manifests(&self) -> [PathBuf; 2] {
        FUZZ.map(|folder| self.root.join(folder).join("Cargo.toml"))
    }

    /// The folder that everything about fuzzing is built into and written to.
    pub(crate) fn fuzz(&self) -> PathBuf {
        self.target.join("fuzz")
    }

    /// `cargo SUBCOMMAND` on the workspace, whatever the working directory is.
    pub(crate) fn cargo(&self, subcommand: &str) -> Cmd {
        Cmd::cargo().arg(subcommand).dir(&self.root).env_hidden("CARGO_TARGET_DIR", &self.target)
    }

    /// `path` for a message: relative to the repository, if it is inside.
    pub(crate) fn short<'a>(&self, path: &'a Path) -> std::path::Display<'a> {
        path.strip_prefix(&self.root).unwrap_or(path).display()
    }
}

/// The file name of the program `name` on this platform.
pub(crate) fn executable(name: &str) -> String {
    format!("{name}{}", std::env::consts::EXE_SUFFIX)
}
