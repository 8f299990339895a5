//! What the suites share: where the built things are, and a node as a process of its own.
//!
//! `cargo xtask test` builds everything first and says where it is by environment variables; without
//! them the usual places are looked at.

pub mod by_hand;
mod process;
mod scene;
mod tasks;
pub mod versions;

use std::path::{Path, PathBuf};

pub use process::{NodeProcess, variables};
pub use scene::{NOOP, PATIENCE, Scene, gaps};
pub use tasks::{assert_ended_once, leases_of};

/// The repository.
pub fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_owned()
}

fn built(variable: &str, usual: &str) -> PathBuf {
    let path = std::env::var_os(variable).map_or_else(|| root().join("target").join(usual), PathBuf::from);
    assert!(path.exists(), "{} is not there; `cargo xtask test` builds it", path.display());
    path
}

/// The binary under test.
pub fn node_binary() -> PathBuf {
    built("POSEMESH_NODE_BIN", "debug/posemesh-node")
}

/// The folder with the built runners.
pub fn plugins_dir() -> PathBuf {
    built("POSEMESH_PLUGINS_DIR", "plugins")
}

/// The folder with the built test runners, one behaviour each (`tests/guests`).
pub fn guests_dir() -> PathBuf {
    built("POSEMESH_TEST_GUESTS_DIR", "test-guests")
}

/// The reference node (`tests/reference`).
pub fn reference_binary() -> PathBuf {
    built("POSEMESH_REFERENCE_NODE_BIN", "reference/debug/reference-node")
}

/// The reference domain client (`tests/reference`).
pub fn reference_domain_client_binary() -> PathBuf {
    built("POSEMESH_REFERENCE_DOMAIN_CLIENT_BIN", "reference/debug/reference-domain-client")
}

/// A component of the suites.
pub fn guest(name: &str) -> PathBuf {
    guests_dir().join(format!("{name}.wasm"))
}

/// A real scan (`tests/data/dragon`).
pub fn dragon(resolution: u32) -> PathBuf {
    root().join(format!("tests/data/dragon/dragon_vrip_res{resolution}.ply.gz"))
}

/// A folder of runners with copies of these components.
pub fn plugins_with(components: &[&Path]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for component in components {
        let name = component.file_name().expect("a component's file name");
        std::fs::copy(component, dir.path().join(name))
            .unwrap_or_else(|error| panic!("copying {}: {error}", component.display()));
    }
    dir
}
