//! A component that was built, with the policy under which it will run, in a folder of our own: what is tried and what goes
//! live are the same bytes, whatever the next build does to its file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

/// The copy. Dropping it removes it.
pub(super) struct Staged {
    /// `NAME.wasm`, with `NAME.toml` beside it if there is a policy.
    pub(super) component: PathBuf,
    /// The policy's text, if there is one.
    pub(super) policy: Option<Vec<u8>>,
    _folder: TempDir,
}

impl Staged {
    /// Copies a component, and `NAME.toml` of this folder if it has one. Blocks.
    ///
    /// # Errors
    /// When a file can't be read or written.
    pub(super) fn copy(component: &Path, policies: &Path) -> Result<Self> {
        let folder = tempfile::tempdir().context("making a folder for the component")?;
        let name = component.file_name().context("the component has no file name")?;
        let copy = folder.path().join(name);
        fs::copy(component, &copy)
            .with_context(|| format!("copying the component {}", component.display()))?;
        let policy = read_policy(&policies.join(name).with_extension("toml"))?;
        if let Some(policy) = &policy {
            fs::write(copy.with_extension("toml"), policy).context("copying the policy")?;
        }
        Ok(Self { component: copy, policy, _folder: folder })
    }

    /// Moves it into a folder of runners, whole or not at all. With `with_policy` its policy is put there first, or removed if
    /// it has none. Blocks. Returns the path of the component.
    ///
    /// # Errors
    /// When a file can't be written there.
    pub(super) fn put_into(&self, runners: &Path, with_policy: bool) -> Result<PathBuf> {
        let name = self.component.file_name().unwrap_or_default();
        let target = runners.join(name);
        let put = || -> io::Result<()> {
            if with_policy {
                let policy = target.with_extension("toml");
                match &self.policy {
                    Some(text) => replace(runners, &policy, |file| fs::write(file, text)),
                    None => match fs::remove_file(&policy) {
                        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                        _ => Ok(()),
                    },
                }?;
            }
            replace(runners, &target, |file| fs::copy(&self.component, file).map(drop))
        };
        put().with_context(|| format!("putting the component into {}", runners.display()))?;
        Ok(target)
    }
}

/// Writes a file under a name that nobody loads, and gives it its own when it is whole.
fn replace(folder: &Path, target: &Path, write: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let file = tempfile::Builder::new().prefix(".watch-").tempfile_in(folder)?.into_temp_path();
    write(&file)?;
    // As others create files, and not for this user alone: a node may be another.
    fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
    file.persist(target).map_err(|error| error.error)
}

fn read_policy(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("reading the policy {}", path.display())),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_put_whole_with_its_policy_or_without_touching_another_one() {
        let (project, runners) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let at = |name: &str| runners.path().join(name);
        fs::write(project.path().join("a.wasm"), "one").unwrap();
        fs::write(project.path().join("a.toml"), "priority = 1").unwrap();
        let staged = Staged::copy(&project.path().join("a.wasm"), project.path()).unwrap();
        fs::write(project.path().join("a.wasm"), "half of two").unwrap();
        staged.put_into(runners.path(), true).unwrap();
        assert_eq!(fs::read_to_string(at("a.wasm")).unwrap(), "one", "as it was when it was copied");
        assert_eq!(fs::read_to_string(at("a.toml")).unwrap(), "priority = 1");

        fs::remove_file(project.path().join("a.toml")).unwrap();
        let staged = Staged::copy(&project.path().join("a.wasm"), project.path()).unwrap();
        staged.put_into(runners.path(), false).unwrap();
        assert!(at("a.toml").exists(), "the operator's");
        staged.put_into(runners.path(), true).unwrap();
        assert!(!at("a.toml").exists());
        assert_eq!(fs::read_dir(runners.path()).unwrap().count(), 1, "nothing else is left there");
    }
}
