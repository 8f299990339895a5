//! What lies in `PLUGINS_DIR`, and whether it has changed.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What shows that one of a runner's two files has changed, without reading them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileFingerprint {
    component: Option<FileStamp>,
    policy: Option<FileStamp>,
}

/// A file that is written over in the same tick of the file system's clock keeps its time, but one that
/// is moved over another has a number of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FileStamp {
    modified: SystemTime,
    bytes: u64,
    number: u64,
}

impl FileFingerprint {
    /// The fingerprint of a component and its policy as they are now.
    fn at(component: &Path) -> Self {
        Self { component: stamp(component), policy: stamp(&component.with_extension("toml")) }
    }

    /// The same, off the runtime's threads.
    pub(crate) async fn now(component: PathBuf) -> io::Result<Self> {
        tokio::task::spawn_blocking(move || Self::at(&component)).await.map_err(io::Error::other)
    }
}

fn stamp(path: &Path) -> Option<FileStamp> {
    // Links are followed: a runner may be a link to a file elsewhere, and its content is what counts.
    let file = std::fs::metadata(path).ok().filter(Metadata::is_file)?;
    // Without a time, size and inode number are still compared.
    let modified = file.modified().unwrap_or(SystemTime::UNIX_EPOCH);
    Some(FileStamp { modified, bytes: file.len(), number: file.ino() })
}

/// The runners of a directory by name: `NAME.wasm`, unless the name begins with a dot.
pub(crate) fn find_runners(dir: &Path) -> io::Result<BTreeMap<String, FileFingerprint>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        // Copying tools write to a file with a dot in front and rename it once it is complete.
        let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        if hidden || path.extension().is_none_or(|extension| extension != "wasm") {
            continue;
        }
        // A name that is not UTF-8 could not be shown, nor typed for a rollback.
        let Some(name) = path.file_stem().and_then(|stem| stem.to_str()) else {
            tracing::debug!(path = %path.display(), "not a runner: its name is not UTF-8");
            continue;
        };
        let fingerprint = FileFingerprint::at(&path);
        // A folder with such a name is no runner, nor is a file that was removed since it was listed.
        if fingerprint.component.is_some() {
            found.insert(name.to_owned(), fingerprint);
        }
    }
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[test]
    fn only_components_are_found_and_a_change_of_either_file_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.wasm", ".b.wasm", "c.wasm.part", "d.toml"] {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        std::fs::create_dir(dir.path().join("e.wasm")).unwrap();
        let found = find_runners(dir.path()).unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), ["a"]);
        let a = dir.path().join("a.wasm");
        assert_eq!(found["a"], FileFingerprint::at(&a));
        std::fs::write(dir.path().join("a.toml"), "").unwrap();
        let with_policy = FileFingerprint::at(&a);
        assert_ne!(found["a"], with_policy);
        let other = dir.path().join("other");
        std::fs::write(&other, "y").unwrap();
        std::fs::rename(&other, &a).unwrap();
        assert_ne!(with_policy, FileFingerprint::at(&a), "the same size, and perhaps the same time");
    }
}
