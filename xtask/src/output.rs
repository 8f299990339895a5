//! The folders that contain built components.
//!
//! A running node may watch such a folder, so files appear in it complete, and only if they changed.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// The file in an output folder that lists the components of the last build. A component that no build put
/// there is never removed.
const BUILT: &str = ".built";

/// Creates the folder `out` and removes components of earlier builds that are not in `names` any more.
///
/// # Errors
/// If the folder can't be written.
pub(crate) fn prepare(out: &Path, names: &[&str]) -> Result<()> {
    fs::create_dir_all(out).with_context(|| format!("make the folder {}", out.display()))?;
    let list = out.join(BUILT);
    let before = fs::read_to_string(&list).unwrap_or_default();
    for name in before.lines().filter(|name| !names.contains(name)) {
        // It may have been removed by hand.
        let _ = fs::remove_file(out.join(format!("{name}.wasm")));
    }
    let now: String = names.iter().map(|name| format!("{name}\n")).collect();
    fs::write(&list, now).with_context(|| format!("write {}", list.display()))
}

/// Copies `from` to `to` by an atomic rename, unless `to` has the same bytes already. Returns the size in
/// bytes and whether `to` changed.
///
/// # Errors
/// If `from` can't be read or `to` can't be written.
pub(crate) fn put(from: &Path, to: &Path) -> Result<(usize, bool)> {
    let bytes = fs::read(from).with_context(|| {
        format!("read the component {} (is `crate-type = [\"cdylib\"]` set?)", from.display())
    })?;
    if fs::read(to).is_ok_and(|old| old == bytes) {
        return Ok((bytes.len(), false));
    }
    let partial = to.with_extension(format!("{}.tmp", std::process::id()));
    fs::write(&partial, &bytes).with_context(|| format!("write {}", partial.display()))?;
    fs::rename(&partial, to).with_context(|| format!("rename to {}", to.display()))?;
    Ok((bytes.len(), true))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_component_is_written_only_if_it_changed() {
        let out = tempfile::tempdir().unwrap();
        let (from, to) = (out.path().join("from"), out.path().join("to.wasm"));
        fs::write(&from, "one").unwrap();
        assert_eq!(put(&from, &to).unwrap(), (3, true));
        let written = fs::metadata(&to).unwrap().modified().unwrap();
        assert_eq!(put(&from, &to).unwrap(), (3, false));
        let now = fs::metadata(&to).unwrap().modified().unwrap();
        assert_eq!(now, written, "an unchanged file stays untouched");
        fs::write(&from, "two!").unwrap();
        assert_eq!(put(&from, &to).unwrap(), (4, true));
        assert_eq!(fs::read_dir(&out).unwrap().count(), 2, "no partial file is left");
    }

    #[test]
    fn a_guest_that_is_gone_takes_its_component_along_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path();
        prepare(out, &["kept", "gone"]).unwrap();
        for name in ["kept.wasm", "gone.wasm", "theirs.wasm"] {
            fs::write(out.join(name), "").unwrap();
        }
        prepare(out, &["kept"]).unwrap();
        assert!(out.join("kept.wasm").exists() && out.join("theirs.wasm").exists());
        assert!(!out.join("gone.wasm").exists(), "the component of a removed guest must not be served");
    }
}
