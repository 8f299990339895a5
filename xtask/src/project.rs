//! Where things are: the repository, the target directory, and what is built into it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::process::Cmd;

/// The places that the steps read and write. All paths are absolute.
pub struct Project {
    /// The repository.
    pub root: PathBuf,
    /// `CARGO_TARGET_DIR`, or `target` in the repository.
    pub target: PathBuf,
}

impl Project {
    /// Finds the repository and the target directory.
    ///
    /// # Errors
    /// If the working directory is unknown or the repository's own place makes no sense.
    pub fn find() -> Result<Self> {
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
    pub fn plugins(&self) -> PathBuf {
        self.target.join("plugins")
    }

    /// The built guests that only the tests use.
    pub fn test_guests(&self) -> PathBuf {
        self.target.join("test-guests")
    }

    /// The node, as [`Project::cargo`] builds it.
    pub fn node(&self) -> PathBuf {
        self.target.join("debug").join(executable("posemesh-node"))
    }

    /// A program of ours that was built with `--release`.
    pub fn released(&self, name: &str) -> PathBuf {
        self.target.join("release").join(executable(name))
    }

    /// The reference node's own target directory.
    pub fn reference_target(&self) -> PathBuf {
        self.target.join("reference")
    }

    /// The reference node, built as `debug` or `release`.
    pub fn reference_node(&self, built: &str) -> PathBuf {
        self.reference_target().join(built).join(executable("reference-node"))
    }

    /// The reference domain client, which is built with the reference node.
    pub fn reference_domain_client(&self, built: &str) -> PathBuf {
        self.reference_target().join(built).join(executable("reference-domain-client"))
    }

    /// The reference node's manifest.
    pub fn reference_manifest(&self) -> PathBuf {
        self.root.join("tests/reference/Cargo.toml")
    }

    /// The manifest of the guests that only the tests use.
    pub fn test_guests_manifest(&self) -> PathBuf {
        self.root.join("tests/guests/Cargo.toml")
    }

    /// The manifest of the fuzz targets.
    pub fn fuzz_manifest(&self) -> PathBuf {
        self.root.join("host/domain-data/fuzz/Cargo.toml")
    }

    /// Where fuzzing builds and writes.
    pub fn fuzz(&self) -> PathBuf {
        self.target.join("fuzz")
    }

    /// `cargo SUBCOMMAND` on the workspace, wherever we were called from.
    pub fn cargo(&self, subcommand: &str) -> Cmd {
        Cmd::cargo().arg(subcommand).dir(&self.root).env_quietly("CARGO_TARGET_DIR", &self.target)
    }

    /// A path as a reader wants it: without the repository in front, where it is inside.
    pub fn short<'a>(&self, path: &'a Path) -> std::path::Display<'a> {
        path.strip_prefix(&self.root).unwrap_or(path).display()
    }
}

/// The file name of a program.
pub fn executable(name: &str) -> String {
    format!("{name}{}", std::env::consts::EXE_SUFFIX)
}
