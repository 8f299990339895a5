//! What lies in `PLUGINS_DIR`, and whether it has changed.

use std::fs::Metadata;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use posemesh_files::{kind_name, open_regular};
use posemesh_text::one_line;
use sha2::{Digest as _, Sha256};

/// How much of a system's answer is kept, in bytes.
const MAX_SHOWN: usize = 200;

/// What shows that one of a runner's two files has changed, without reading them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileFingerprint {
    pub(crate) component: FileLook,
    policy: FileLook,
}

/// What is seen of a file without opening it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FileLook {
    /// There is none.
    Missing,
    /// A regular file, or a link to one.
    File(FileStamp),
    /// Something else, or a file that can't be looked at; says what.
    Odd(String),
}

/// A file that is written over in the same tick of the file system's clock keeps its times, but one that is moved over
/// another has a number of its own. Whoever sets the time of modification back can't set that of change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileStamp {
    modified: (i64, i64),
    changed: (i64, i64),
    bytes: u64,
    number: (u64, u64),
}

impl FileFingerprint {
    /// The fingerprint of a component and its policy as they are now. Blocks.
    pub(crate) fn at(component: &Path) -> Self {
        Self { component: look(component), policy: look(&component.with_extension("toml")) }
    }

    /// The size of the component in bytes; of what is no file, none.
    pub(crate) fn bytes(&self) -> u64 {
        match &self.component {
            FileLook::File(stamp) => stamp.bytes,
            FileLook::Missing | FileLook::Odd(_) => 0,
        }
    }

    /// That of a component whose file system does not answer.
    pub(crate) fn silent(error: &io::Error) -> Self {
        Self { component: FileLook::Odd(error.to_string()), policy: FileLook::Missing }
    }
}

fn look(path: &Path) -> FileLook {
    // Links are followed: a runner may be a link to a file elsewhere, and its content is what counts.
    match std::fs::metadata(path) {
        Ok(file) if file.is_file() => FileLook::File(FileStamp::of(&file)),
        Ok(other) => FileLook::Odd(format!("it is {}, not a regular file", kind_name(other.file_type()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match path.symlink_metadata() {
            Ok(_) => FileLook::Odd("it is a link to nothing".to_owned()),
            Err(_) => FileLook::Missing,
        },
        Err(error) => FileLook::Odd(one_line(error, MAX_SHOWN)),
    }
}

impl FileStamp {
    fn of(file: &Metadata) -> Self {
        Self {
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
            bytes: file.len(),
            number: (file.dev(), file.ino()),
        }
    }
}

/// What a component and its policy have in them, as SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Contents {
    /// Of both.
    both: [u8; 32],
    /// Of the component alone.
    pub(crate) component: [u8; 32],
}

/// What a component and its policy have in them, of each no more than `most` bytes. Blocks.
pub(crate) fn contents(component: &Path, most: u64) -> io::Result<Contents> {
    let mut digest = Sha256::new();
    // The last file is the component.
    let mut of_file = Sha256::new();
    for path in [component.with_extension("toml"), component.to_owned()] {
        let mut file = match open_regular(&path) {
            Ok(file) => file.take(most.saturating_add(1)),
            // A runner mostly has no policy.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        of_file.reset();
        let mut bytes: u64 = 0;
        let mut piece = vec![0; 64 << 10];
        loop {
            let read = match file.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let read_now = piece.get(..read).unwrap_or_default();
            digest.update(read_now);
            of_file.update(read_now);
            bytes += read as u64;
        }
        // Where one file ends, so that no byte can move from one to the other unseen.
        digest.update(bytes.to_le_bytes());
    }
    Ok(Contents { both: digest.finalize().into(), component: of_file.finalize().into() })
}

/// The components of a directory: `NAME.wasm`, unless the name begins with a dot. Blocks.
pub(crate) fn find_components(dir: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        // Copying tools write to a file with a dot in front and rename it once it is complete.
        let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        if hidden || path.extension().is_none_or(|extension| extension != "wasm") {
            continue;
        }
        // A name that is not UTF-8 could not be shown, nor typed for a rollback.
        match path.file_stem().and_then(|stem| stem.to_str()) {
            Some(name) => found.push((name.to_owned(), path)),
            None => tracing::debug!(path = %path.display(), "not a runner: its name is not UTF-8"),
        }
    }
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::panic, clippy::unwrap_used)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::time::SystemTime;

    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;

    #[test]
    fn only_components_are_found_and_a_change_of_either_file_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["a.wasm", ".b.wasm", "c.wasm.part", "d.toml"] {
            fs::write(dir.path().join(name), "x").unwrap();
        }
        let a = dir.path().join("a.wasm");
        assert_eq!(find_components(dir.path()).unwrap(), [("a".to_owned(), a.clone())]);
        let first = FileFingerprint::at(&a);
        assert_eq!(first, FileFingerprint::at(&a));
        fs::write(dir.path().join("a.toml"), "").unwrap();
        let with_policy = FileFingerprint::at(&a);
        assert_ne!(first, with_policy);
        let other = dir.path().join("other");
        fs::write(&other, "y").unwrap();
        fs::rename(&other, &a).unwrap();
        assert_ne!(with_policy, FileFingerprint::at(&a), "the same size, and perhaps the same time");
    }

    #[test]
    fn a_new_version_with_the_old_ones_size_time_and_number_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wasm");
        fs::write(&path, "old").unwrap();
        let (before, old) = (FileFingerprint::at(&path), contents(&path, 10).unwrap());
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        // Until the clock of the file system has moved on.
        let changed = || fs::metadata(&path).unwrap().ctime_nsec();
        let first = changed();
        while changed() == first {
            fs::write(&path, "new").unwrap();
        }
        fs::File::options().append(true).open(&path).unwrap().set_modified(modified).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), modified);
        assert_ne!(before, FileFingerprint::at(&path), "as after `cp -p`");
        assert_ne!(old, contents(&path, 10).unwrap());
    }

    #[test]
    fn contents_are_compared_file_by_file_and_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wasm");
        fs::write(&path, "component").unwrap();
        let alone = contents(&path, 100).unwrap();
        fs::File::options().append(true).open(&path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert_eq!(alone, contents(&path, 100).unwrap(), "times are no contents");
        fs::write(path.with_extension("toml"), "comp").unwrap();
        fs::write(&path, "onent").unwrap();
        assert_ne!(alone, contents(&path, 100).unwrap());
        fs::File::options().append(true).open(&path).unwrap().set_len(10 << 30).unwrap();
        contents(&path, 100).unwrap();
    }

    #[test]
    fn what_is_no_regular_file_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        mknodat(CWD, at("fifo.wasm"), FileType::Fifo, Mode::RWXU, 0).unwrap();
        fs::create_dir(at("folder.wasm")).unwrap();
        symlink(at("loop.wasm"), at("loop.wasm")).unwrap();
        symlink(at("nowhere"), at("dangling.wasm")).unwrap();
        for (name, want) in [
            ("fifo.wasm", "a FIFO"),
            ("folder.wasm", "a folder"),
            ("loop.wasm", "symbolic links"),
            ("dangling.wasm", "a link to nothing"),
        ] {
            let FileLook::Odd(what) = FileFingerprint::at(&at(name)).component else { panic!("{name}") };
            assert!(what.contains(want), "{name}: {what}");
        }
        assert_eq!(FileFingerprint::at(&at("missing.wasm")).component, FileLook::Missing);
    }
}
