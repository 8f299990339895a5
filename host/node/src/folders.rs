//! Who else may change the folders that the node relies on. Whoever may write to PLUGINS_DIR decides which code runs and what
//! it is granted; whoever may write to WORK_DIR reaches the files of tasks. The plugin host looks after CACHE_DIR itself.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use posemesh_files::{Exposure, exposures};
use posemesh_text::one_line;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// How many places are named.
const NAMED: usize = 3;
/// How many files of PLUGINS_DIR are looked at.
const MAX_FILES: usize = 1000;
/// How much of a path or an error is shown, in bytes.
const MAX_SHOWN: usize = 512;
/// How long the look may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// The folders.
#[derive(Debug, Clone)]
pub(crate) struct Folders {
    pub(crate) plugins: PathBuf,
    pub(crate) cache: PathBuf,
    pub(crate) work: PathBuf,
    /// `DATA_DIR`, if a history is kept.
    pub(crate) data: Option<PathBuf>,
    /// The files that settings came from, and what they are called.
    pub(crate) settings: Vec<(&'static str, PathBuf)>,
}

/// What is open to others, in words, with what helps. Nothing is made or changed. Blocks.
pub(crate) fn warnings(paths: &Folders) -> Vec<String> {
    let plugins = look_at(&paths.plugins).map(|mut found| {
        found.extend(open_files(&paths.plugins));
        told(
            "PLUGINS_DIR",
            &paths.plugins,
            &found,
            "whoever can change it decides which runners the node runs and what they are granted",
        )
    });
    let work = look_at(&paths.work).map(|mut found| {
        // Each process makes a private folder in it, which nobody else can replace in a sticky one.
        found.retain(|exposure| !(exposure.is_end && exposure.sticky));
        told("WORK_DIR", &paths.work, &found, "whoever can change it reaches the files of tasks")
    });
    let cache = look_at(&paths.cache).map(|mut found| {
        // The node closes its own folder.
        found.retain(|exposure| !exposure.is_end || exposure.sticky);
        let why = "so no compiled runner is kept or taken from there, and each is compiled at every start";
        told("CACHE_DIR", &paths.cache, &found, why)
    });
    let data = paths.data.as_ref().map(|data| {
        let found = look_at(data)?;
        Ok(told(
            "DATA_DIR",
            data,
            &found,
            "whoever can change it can change what the history says, or take it away",
        ))
    });
    let settings = paths.settings.iter().map(|(what, file)| {
        let mut found = exposures(file)?;
        // Of the file itself that is said where it is read.
        found.retain(|exposure| !(exposure.is_end && everybody_writes(file)));
        Ok(told(
            what,
            file,
            &found,
            "whoever can change it decides what the node does and with which servers it talks",
        ))
    });
    // What can't be looked at is said by whoever uses it.
    [Some(plugins), Some(work), Some(cache), data]
        .into_iter()
        .flatten()
        .chain(settings)
        .filter_map(Result::ok)
        .flatten()
        .collect()
}

fn everybody_writes(file: &Path) -> bool {
    file.metadata().is_ok_and(|found| found.permissions().mode() & 0o002 != 0)
}

/// The same off the runtime's threads, for as long as a file system may take; also logged.
pub(crate) async fn warn(looked: Folders) -> Vec<String> {
    let looked = timeout(LOOK_TIMEOUT, spawn_blocking(move || warnings(&looked))).await;
    let warnings = looked.ok().and_then(Result::ok).unwrap_or_default();
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    warnings
}

fn told(variable: &str, folder: &Path, found: &[Exposure], why: &str) -> Option<String> {
    let named: Vec<String> = found.iter().take(NAMED).map(ToString::to_string).collect();
    let more = found.len().saturating_sub(NAMED);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    (!found.is_empty()).then(|| {
        format!(
            "{variable} {} is open to other users, {why}: {}{more}",
            one_line(folder.display(), MAX_SHOWN),
            named.join("; "),
        )
    })
}

/// The exposures of a folder, or, while it is not there, of the one that it will be made in.
fn look_at(folder: &Path) -> io::Result<Vec<Exposure>> {
    let absolute = std::path::absolute(folder)?;
    for place in absolute.ancestors() {
        match exposures(place) {
            Ok(mut found) => {
                if place != absolute {
                    // A folder on the way may be shared if it is sticky.
                    found.retain(|exposure| !(exposure.is_end && exposure.sticky));
                    found.iter_mut().for_each(|exposure| exposure.is_end = false);
                }
                return Ok(found);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Vec::new())
}

/// Runners and policies that others can change though the folder is closed to them.
fn open_files(plugins: &Path) -> Vec<Exposure> {
    let entries = std::fs::read_dir(plugins).into_iter().flatten().flatten();
    let is_ours = |path: &PathBuf| path.extension().is_some_and(|end| end == "wasm" || end == "toml");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_ours).take(MAX_FILES).collect();
    files.sort();
    let at_end = |path: PathBuf| exposures(&path).unwrap_or_default().into_iter().filter(|one| one.is_end);
    files.into_iter().flat_map(at_end).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};

    #[test]
    fn what_others_may_change_is_told_with_what_it_means() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        let paths = Folders {
            plugins: at("plugins"),
            cache: at("cache/compiled"),
            work: at("work/deep"),
            data: Some(at("data")),
            settings: vec![("the settings file", at("etc/node.toml"))],
        };
        let chmod = |name: &str, mode| fs::set_permissions(at(name), Permissions::from_mode(mode)).unwrap();
        fs::create_dir(at("plugins")).unwrap();
        fs::create_dir(at("work")).unwrap();
        fs::create_dir(at("cache")).unwrap();
        fs::create_dir(at("data")).unwrap();
        fs::create_dir(at("etc")).unwrap();
        fs::write(at("etc/node.toml"), "").unwrap();
        chmod("etc/node.toml", 0o644);
        for file in ["plugins/a.wasm", "plugins/a.toml", "plugins/note"] {
            fs::write(at(file), "").unwrap();
            chmod(file, 0o644);
        }
        for dir in ["plugins", "work", "cache", "data", "etc"] {
            chmod(dir, 0o755);
        }
        assert_eq!(warnings(&paths), [""; 0]);
        chmod("plugins/note", 0o666);
        chmod("plugins/a.toml", 0o666);
        let told = warnings(&paths);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].starts_with("PLUGINS_DIR") && told[0].contains("a.toml can be changed by everybody"),
            "{told:?}"
        );
        chmod("plugins", 0o1777);
        assert!(
            warnings(&paths)[0].contains("plugins can be changed by everybody (mode 1777"),
            "{:?}",
            warnings(&paths)
        );
        // Not made yet: the folder that they will be made in counts.
        chmod("work", 0o777);
        chmod("cache", 0o775);
        let told = warnings(&paths);
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[1].starts_with("WORK_DIR") && told[1].contains("mode 0777"), "{told:?}");
        assert!(told[2].starts_with("CACHE_DIR") && told[2].contains("its group (mode 0775"), "{told:?}");
        chmod("work", 0o1777);
        chmod("cache", 0o1777);
        assert_eq!(warnings(&paths).len(), 1, "what is sticky may be shared on the way");
        chmod("data", 0o770);
        let told = warnings(&paths);
        assert!(told[1].starts_with("DATA_DIR") && told[1].contains("its group (mode 0770"), "{told:?}");
        // Whoever may write to a folder may put another file in the place of one in it.
        chmod("etc", 0o777);
        let told = warnings(&paths);
        assert!(
            told[2].starts_with("the settings file") && told[2].contains("etc can be changed by everybody"),
            "{told:?}"
        );
        chmod("etc", 0o755);
        chmod("etc/node.toml", 0o664);
        let told = warnings(&paths);
        assert!(told[2].contains("node.toml can be changed by its group"), "{told:?}");
    }
}
