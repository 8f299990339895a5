//! Runners that were compiled before the tests: nearly every test starts a node, and on a slow machine compiling its runners
//! takes longer than what is tested. `cargo xtask test` has a node compile all of them into one folder.

use std::fs;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

/// The folder: a node's `CACHE_DIR`. Without the variable every node compiles its runners.
const VARIABLE: &str = "POSEMESH_TEST_CACHE_DIR";

/// Fills a node's `CACHE_DIR` with what was compiled of the runners in a folder, and the key that vouches for it. Of what was
/// not compiled before there is nothing, and the node compiles it.
///
/// Copies, since the cache believes no file that has two names, and tests change what they find.
pub fn warm(cache_dir: &Path, plugins_dir: &Path) {
    let Some(compiled) = std::env::var_os(VARIABLE).map(PathBuf::from) else { return };
    // A node that may not trust the folder has kept nothing in it.
    if !compiled.join("key").is_file() {
        return;
    }
    let compiled_names = names(&compiled);
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(cache_dir)
        .expect("a folder for compiled runners");
    let copy = |name: &str| {
        let (from, to) = (compiled.join(name), cache_dir.join(name));
        fs::copy(&from, &to).unwrap_or_else(|error| panic!("copying {}: {error}", from.display()));
    };
    copy("key");
    for file in files(plugins_dir).iter().filter(|file| file.extension().is_some_and(|end| end == "wasm")) {
        let component = fs::read(file).unwrap_or_else(|error| panic!("reading {}: {error}", file.display()));
        let digest = hex::encode(Sha256::digest(component));
        compiled_names
            .iter()
            .filter(|name| name.starts_with(&digest) && name.ends_with(".cwasm"))
            .for_each(|name| copy(name));
    }
}

fn names(folder: &Path) -> Vec<String> {
    let paths = files(folder);
    paths.iter().filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("reading {}: {error}", folder.display()));
    entries.map(|entry| entry.expect("an entry").path()).collect()
}
