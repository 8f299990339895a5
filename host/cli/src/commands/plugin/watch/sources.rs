//! The files of a project that are written by people: what makes a build outdated when it changes.
//!
//! What `.gitignore` names is not among them, nor are hidden files, components, and the folders that toolchains put what they
//! make into. A file counts by its contents: a build that writes one anew with what it had before has changed nothing. Links
//! are followed, to files and folders, and what a build says that it has read elsewhere counts as well.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::Metadata;
use std::hash::{DefaultHasher, Hasher as _};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ignore::WalkBuilder;
use ignore::overrides::{Override, OverrideBuilder};
use posemesh_files::open_regular;

/// The most files that are looked at. A project has hundreds; more are somebody's data.
const MAX_FILES: usize = 20_000;
/// A larger file counts by its size and its times alone, in bytes.
const MAX_READ: u64 = 32 << 20;
/// Folders of what toolchains make, whatever `.gitignore` says.
const MADE: [&str; 5] = ["target", "node_modules", "build", "dist", "__pycache__"];

/// Looks at the sources of a project again and again.
#[derive(Debug)]
pub(super) struct Sources {
    dir: PathBuf,
    /// The folder of the cases, if it lies elsewhere.
    cases: Option<PathBuf>,
    ignored: Override,
    /// Files elsewhere that the last build has read.
    outside: BTreeSet<PathBuf>,
    /// What was read of each file, so that only what has changed is read again.
    known: BTreeMap<PathBuf, (Stamp, u64)>,
}

/// The sources at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// A hash of the contents of each, by its path in the project, or its whole path if it lies elsewhere.
    files: BTreeMap<PathBuf, u64>,
    /// The folders that they lie in.
    pub(super) folders: BTreeSet<PathBuf>,
    /// Whether the project's folder itself is not there.
    pub(super) is_gone: bool,
}

/// How the files outside of a project that count differ from those before.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Outside {
    pub(super) new: BTreeSet<PathBuf>,
    dropped: BTreeSet<PathBuf>,
}

impl Outside {
    pub(super) fn is_as_before(&self) -> bool {
        self.new.is_empty() && self.dropped.is_empty()
    }

    /// Leaves out of the new ones what was changed after this moment: a build that began then may have read what was there
    /// before. May block.
    pub(super) fn leave_out_changed(&mut self, since: SystemTime) {
        let changed = |path: &PathBuf| {
            std::fs::metadata(path).and_then(|found| found.modified()).is_ok_and(|changed| changed >= since)
        };
        self.new.retain(|path| !changed(path));
    }
}

/// Which differences count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counts {
    /// All of them.
    All,
    /// Those of files that were there: builds make new ones, and most of those for a moment.
    Known,
}

/// What tells that a file was not changed, without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    inode: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(file: &Metadata) -> Self {
        Self {
            bytes: file.len(),
            inode: file.ino(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }
}

impl Sources {
    /// The sources of a folder and the cases, which may lie elsewhere, without what these patterns (as in `.gitignore`) name.
    ///
    /// # Errors
    /// When a pattern is wrong.
    pub(super) fn new(dir: &Path, cases: &Path, ignored: &[String]) -> Result<Self, ignore::Error> {
        let mut overrides = OverrideBuilder::new(dir);
        for pattern in ignored.iter().map(String::as_str).chain(["*.wasm", "*~", "\\#*\\#"]) {
            overrides.add(&format!("!{pattern}"))?;
        }
        // Not there yet, or not at all: what is made later is seen if it lies in the project.
        let cases = cases.canonicalize().ok().filter(|cases| !cases.starts_with(dir));
        Ok(Self {
            dir: dir.to_owned(),
            cases,
            ignored: overrides.build()?,
            outside: BTreeSet::new(),
            known: BTreeMap::new(),
        })
    }

    /// Names the files outside of the project that count, in place of those before.
    pub(super) fn set_outside(&mut self, files: BTreeSet<PathBuf>) -> Outside {
        let files: BTreeSet<PathBuf> =
            files.into_iter().filter(|file| !file.starts_with(&self.dir)).take(MAX_FILES).collect();
        let before = std::mem::replace(&mut self.outside, files);
        Outside {
            new: self.outside.difference(&before).cloned().collect(),
            dropped: before.difference(&self.outside).cloned().collect(),
        }
    }

    /// Looks at them now. Reads what has changed since the last time.
    ///
    /// # Errors
    /// When the folder can't be read, or has too many files. What goes while it is looked at is no error.
    pub(super) fn look(&mut self) -> io::Result<Snapshot> {
        let mut snapshot = Snapshot::default();
        let mut walk = WalkBuilder::new(&self.dir);
        walk.overrides(self.ignored.clone())
            .follow_links(true)
            // A project need not be under version control.
            .require_git(false)
            .git_global(false)
            .git_exclude(false)
            // A rule above the project, such as a home under version control that ignores all else, says nothing of it.
            .parents(false)
            .filter_entry(|entry| {
                let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
                !is_folder || entry.depth() == 0 || !MADE.iter().any(|made| entry.file_name() == *made)
            });
        if let Some(cases) = &self.cases {
            walk.add(cases);
        }
        for entry in walk.build() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) if is_of_no_source(&error) => continue,
                Err(error) => return Err(io::Error::other(error)),
            };
            let path = entry.path().to_owned();
            if entry.file_type().is_some_and(|kind| kind.is_dir()) {
                snapshot.folders.insert(path);
                continue;
            }
            if entry.path_is_symlink() {
                // What it leads to is changed there.
                let folder = path.canonicalize().ok().and_then(|file| file.parent().map(Path::to_owned));
                snapshot.folders.extend(folder);
            }
            self.add(&path, &mut snapshot)?;
        }
        for path in self.outside.clone() {
            snapshot.folders.extend(path.parent().filter(|folder| folder.is_dir()).map(Path::to_owned));
            self.add(&path, &mut snapshot)?;
        }
        snapshot.is_gone = !snapshot.folders.contains(&self.dir);
        let dir = &self.dir;
        self.known.retain(|path, _| snapshot.files.contains_key(path.strip_prefix(dir).unwrap_or(path)));
        Ok(snapshot)
    }

    fn add(&mut self, path: &Path, snapshot: &mut Snapshot) -> io::Result<()> {
        if snapshot.files.len() == MAX_FILES {
            return Err(io::Error::other(format!(
                "there are more than {MAX_FILES} files, with those that links lead to; leave out those of others with --ignore \
                 PATTERN or .gitignore"
            )));
        }
        // Gone, or not to be read: a build says so, if it needs it.
        if let Ok(contents) = self.contents(path) {
            snapshot.files.insert(path.strip_prefix(&self.dir).unwrap_or(path).to_owned(), contents);
        }
        Ok(())
    }

    fn contents(&mut self, path: &Path) -> io::Result<u64> {
        let found = std::fs::metadata(path)?;
        let stamp = Stamp::of(&found);
        if let Some((known, contents)) = self.known.get(path)
            && *known == stamp
        {
            return Ok(*contents);
        }
        let mut hasher = DefaultHasher::new();
        if found.is_file() && stamp.bytes <= MAX_READ {
            let mut file = open_regular(path)?.take(MAX_READ);
            let mut buffer = vec![0; 64 << 10];
            loop {
                let read = file.read(&mut buffer)?;
                let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
                hasher.write(bytes);
            }
        } else {
            for number in [stamp.bytes, stamp.inode, stamp.modified.0 as u64, stamp.modified.1 as u64] {
                hasher.write_u64(number);
            }
        }
        let contents = hasher.finish();
        self.known.insert(path.to_owned(), (stamp, contents));
        Ok(contents)
    }
}

/// Whether a walk can go on without what it could not look at: it is gone, somebody else's, or a link to a folder above.
fn is_of_no_source(error: &ignore::Error) -> bool {
    match error {
        ignore::Error::Loop { .. } => true,
        ignore::Error::WithPath { err, .. }
        | ignore::Error::WithDepth { err, .. }
        | ignore::Error::WithLineNumber { err, .. } => is_of_no_source(err),
        ignore::Error::Io(error) => {
            matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
        }
        _ => false,
    }
}

impl Snapshot {
    /// Takes over which files count outside of the project: the new ones as a later look has seen them. Those that counted
    /// before stay as they were, so that a change meanwhile is one.
    pub(super) fn take_outside(&mut self, outside: &Outside, seen: &Self) {
        self.files.retain(|path, _| !outside.dropped.contains(path));
        for path in &outside.new {
            if let Some(contents) = seen.files.get(path) {
                self.files.entry(path.clone()).or_insert(*contents);
            }
        }
    }

    /// The files that differ in a later one, by their paths in the project.
    pub(super) fn differences(&self, other: &Self, counts: Counts) -> Vec<PathBuf> {
        let differs = |path: &&PathBuf| {
            let before = self.files.get(*path);
            before != other.files.get(*path) && (counts == Counts::All || before.is_some())
        };
        let all: BTreeSet<&PathBuf> = self.files.keys().chain(other.files.keys()).collect();
        all.into_iter().filter(differs).cloned().collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;

    use super::*;

    fn differences(dir: &Path, sources: &mut Sources, change: impl FnOnce(&Path)) -> Vec<PathBuf> {
        let before = sources.look().unwrap();
        change(dir);
        before.differences(&sources.look().unwrap(), Counts::All)
    }

    #[test]
    fn what_people_write_counts_by_its_contents_and_what_builds_write_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        for folder in ["src", "target/release", "node_modules/x", ".git", "cases/a/inputs", "out"] {
            fs::create_dir_all(dir.join(folder)).unwrap();
        }
        fs::write(dir.join(".gitignore"), "/out\n").unwrap();
        fs::write(dir.join("src/lib.rs"), "one").unwrap();
        let mut sources = Sources::new(dir, &dir.join("cases"), &["notes".to_owned()]).unwrap();
        for (path, counts) in [
            ("src/lib.rs", true),
            ("cases/a/inputs/new.csv", true),
            ("target/release/x.d", false),
            ("node_modules/x/index.js", false),
            (".git/index", false),
            ("runner.wasm", false),
            ("src/.lib.rs.swp", false),
            ("src/lib.rs~", false),
            ("out/summary.json", false),
            ("notes", false),
        ] {
            let write = |dir: &Path| fs::write(dir.join(path), "two").unwrap();
            let expected: Vec<PathBuf> = counts.then(|| path.into()).into_iter().collect();
            assert_eq!(differences(dir, &mut sources, write), expected, "{path}");
            assert!(differences(dir, &mut sources, write).is_empty(), "{path}: the same again");
        }
        let before = sources.look().unwrap();
        fs::write(dir.join("src/new.rs"), "").unwrap();
        let after = sources.look().unwrap();
        assert_eq!(before.differences(&after, Counts::All), [PathBuf::from("src/new.rs")]);
        assert!(before.differences(&after, Counts::Known).is_empty());
        assert_eq!(after.differences(&before, Counts::Known), [PathBuf::from("src/new.rs")], "it went");
        let saved_by_rename = |dir: &Path| {
            fs::write(dir.join("src/.new"), "three").unwrap();
            fs::rename(dir.join("src/.new"), dir.join("src/lib.rs")).unwrap();
        };
        assert_eq!(differences(dir, &mut sources, saved_by_rename), [PathBuf::from("src/lib.rs")]);
        let removed = |dir: &Path| fs::remove_file(dir.join("src/lib.rs")).unwrap();
        assert_eq!(differences(dir, &mut sources, removed), [PathBuf::from("src/lib.rs")]);
        let folder = |dir: &Path| fs::create_dir(dir.join("src/new")).unwrap();
        assert!(differences(dir, &mut sources, folder).is_empty(), "an empty folder is no source");
        assert!(sources.look().unwrap().folders.contains(&dir.join("src/new")), "but it is watched");
    }

    #[test]
    fn what_links_lead_to_counts_and_what_a_build_has_read_elsewhere() {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (dir, elsewhere) = (dir.path().canonicalize().unwrap(), elsewhere.path().canonicalize().unwrap());
        for folder in ["folder", "library", "cases/a"] {
            fs::create_dir_all(elsewhere.join(folder)).unwrap();
        }
        for file in ["file", "folder/deep", "library/lib.rs", "cases/a/task.json"] {
            fs::write(elsewhere.join(file), "one").unwrap();
        }
        let link = |to: &Path, name: &str| std::os::unix::fs::symlink(to, dir.join(name)).unwrap();
        link(&elsewhere.join("file"), "file");
        link(&elsewhere.join("folder"), "folder");
        link(&dir, "again");
        link(Path::new("nowhere"), "broken");
        let mut sources = Sources::new(&dir, &elsewhere.join("cases"), &[]).unwrap();
        let library = elsewhere.join("library/lib.rs");
        let mut before = sources.look().unwrap();
        let mut outside = sources.set_outside([library.clone(), dir.join("file")].into());
        assert!(
            sources.set_outside([library.clone()].into()).is_as_before(),
            "what lies in the project is none"
        );
        let seen = sources.look().unwrap();
        assert_eq!(before.differences(&seen, Counts::All), [library.as_path()], "not yet");
        let untouched = before.clone();
        before.take_outside(&outside, &seen);
        assert!(before.differences(&seen, Counts::All).is_empty());
        // As one that was changed while it was built is a change afterwards.
        outside.leave_out_changed(SystemTime::UNIX_EPOCH);
        let mut stale = untouched.clone();
        stale.take_outside(&outside, &seen);
        assert_eq!(stale.differences(&seen, Counts::All), [library.as_path()]);
        // What is not read any more does not count, and what is read again was not lost.
        let dropped = sources.set_outside(BTreeSet::new());
        let mut without = before.clone();
        without.take_outside(&dropped, &seen);
        assert_eq!(without, untouched);
        assert!(!sources.set_outside([library.clone()].into()).is_as_before());
        for folder in [elsewhere.clone(), dir.join("folder"), elsewhere.join("library")] {
            assert!(seen.folders.contains(&folder), "{} is to be watched", folder.display());
        }
        for (file, called) in [
            ("file", PathBuf::from("file")),
            ("folder/deep", PathBuf::from("folder/deep")),
            ("library/lib.rs", library),
            ("cases/a/task.json", elsewhere.join("cases/a/task.json")),
        ] {
            let write = |_: &Path| fs::write(elsewhere.join(file), "two").unwrap();
            assert_eq!(differences(&dir, &mut sources, write), [called]);
        }
        assert!(!sources.look().unwrap().is_gone);
        fs::rename(&dir, elsewhere.join("moved")).unwrap();
        assert!(sources.look().unwrap().is_gone);
    }
}
