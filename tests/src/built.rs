//! Where the built programs and components are. `cargo xtask test` builds them all and says where by
//! environment variables; without these they are expected where it puts them.

use std::path::{Path, PathBuf};

/// The repository.
pub fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_owned()
}

/// A path from the environment, by default below `target/`.
pub(crate) fn built(variable: &str, default: &str) -> PathBuf {
    let path = std::env::var_os(variable).map_or_else(|| root().join("target").join(default), PathBuf::from);
    assert!(path.exists(), "{} does not exist; `cargo xtask test` builds it", path.display());
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

/// A built runner of the project.
pub fn plugin(name: &str) -> PathBuf {
    plugins_dir().join(format!("{name}.wasm"))
}

/// The reference node (`tests/reference`).
pub fn reference_binary() -> PathBuf {
    built("POSEMESH_REFERENCE_NODE_BIN", "reference/debug/reference-node")
}

/// The reference domain client (`tests/reference`).
pub fn reference_domain_client_binary() -> PathBuf {
    built("POSEMESH_REFERENCE_DOMAIN_CLIENT_BIN", "reference/debug/reference-domain-client")
}

/// A real scan (`tests/data/dragon`).
pub fn dragon(resolution: u32) -> PathBuf {
    root().join(format!("tests/data/dragon/dragon_vrip_res{resolution}.ply.gz"))
}

/// A folder of runners with copies of these components.
pub fn plugins_with(components: &[impl AsRef<Path>]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for component in components {
        let component = component.as_ref();
        let name = component.file_name().expect("a component's file name");
        std::fs::copy(component, dir.path().join(name))
            .unwrap_or_else(|error| panic!("copying {}: {error}", component.display()));
    }
    dir
}
