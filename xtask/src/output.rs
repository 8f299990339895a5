//! The folders that built components are put into.
//!
//! A running node may watch such a folder: it must see whole components, and only real changes.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// In an output folder: the names of the components that the last build put there. A file of another
/// name is somebody else's and stays.
const BUILT: &str = ".built";

/// Makes the folder `out`, and takes away what an earlier build put there and `names` has no more.
///
/// # Errors
/// If the folder can't be written.
pub fn prepare(out: &Path, names: &[&str]) -> Result<()> {
    fs::create_dir_all(out).with_context(|| format!("make the folder {}", out.display()))?;
    let list = out.join(BUILT);
    let before = fs::read_to_string(&list).unwrap_or_default();
    for name in before.lines().filter(|name| !names.contains(name)) {
        // Gone already is as good.
        let _ = fs::remove_file(out.join(format!("{name}.wasm")));
    }
    let now: String = names.iter().map(|name| format!("{name}\n")).collect();
    fs::write(&list, now).with_context(|| format!("write {}", list.display()))
}

/// Makes `to` hold what `from` holds, by an atomic rename, and only if it does not yet. Returns the
/// size in bytes and whether anything changed.
///
/// # Errors
/// If `from` can't be read or `to` not be written.
pub fn put(from: &Path, to: &Path) -> Result<(usize, bool)> {
    let bytes = fs::read(from).with_context(|| {
        format!("read the component {} (is `crate-type = [\"cdylib\"]` set?)", from.display())
    })?;
    if fs::read(to).is_ok_and(|old| old == bytes) {
        return Ok((bytes.len(), false));
    }
    let half_done = to.with_extension(format!("{}.tmp", std::process::id()));
    fs::write(&half_done, &bytes).with_context(|| format!("write {}", half_done.display()))?;
    fs::rename(&half_done, to).with_context(|| format!("rename to {}", to.display()))?;
    Ok((bytes.len(), true))
}

/// An empty folder for one test.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub fn test_folder(test: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(format!("xtask-{}-{test}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_written_only_if_it_changed() {
        let out = test_folder("put");
        let (from, to) = (out.join("from"), out.join("to.wasm"));
        fs::write(&from, "one").unwrap();
        assert_eq!(put(&from, &to).unwrap(), (3, true));
        let written = fs::metadata(&to).unwrap().modified().unwrap();
        assert_eq!(put(&from, &to).unwrap(), (3, false));
        let now = fs::metadata(&to).unwrap().modified().unwrap();
        assert_eq!(now, written, "an unchanged file stays untouched");
        fs::write(&from, "two!").unwrap();
        assert_eq!(put(&from, &to).unwrap(), (4, true));
        assert_eq!(fs::read_dir(&out).unwrap().count(), 2, "nothing half done is left");
        fs::remove_dir_all(out).unwrap();
    }

    #[test]
    fn a_guest_that_is_gone_takes_its_component_along_and_no_other() {
        let out = test_folder("stale");
        prepare(&out, &["kept", "gone"]).unwrap();
        for name in ["kept.wasm", "gone.wasm", "theirs.wasm"] {
            fs::write(out.join(name), "").unwrap();
        }
        prepare(&out, &["kept"]).unwrap();
        assert!(out.join("kept.wasm").exists() && out.join("theirs.wasm").exists());
        assert!(!out.join("gone.wasm").exists(), "the component of a removed guest must not be served");
        fs::remove_dir_all(out).unwrap();
    }
}
