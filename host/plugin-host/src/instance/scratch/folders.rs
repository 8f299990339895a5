//! The folders of one task, made when something is first to lie in them: most tasks need none.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use posemesh_runner_api::disk::TaskDisk;

/// The folders of one task that the runner sees.
#[derive(Debug)]
pub(crate) struct SandboxDirs {
    /// `/work`, read and write.
    pub(crate) work: PathBuf,
    /// `/work/inputs`, read only.
    pub(crate) inputs: PathBuf,
    /// `/tmp`, read and write.
    pub(crate) tmp: PathBuf,
}

impl SandboxDirs {
    /// Those that the runner may change.
    pub(crate) fn changeable(&self) -> [&Path; 2] {
        [&self.work, &self.tmp]
    }
}

/// Everything of one task that lies in files.
///
/// **Invariant:** they are made on the guest's own thread, where blocking holds up nobody else.
#[derive(Debug)]
pub(crate) struct TaskFolders {
    disk: TaskDisk,
    made: OnceLock<SandboxDirs>,
}

impl TaskFolders {
    /// Those below a task's directory. None is there yet.
    pub(crate) fn of(disk: TaskDisk) -> Self {
        Self { disk, made: OnceLock::new() }
    }

    /// Folders that are there.
    #[cfg(test)]
    pub(crate) fn there(disk: TaskDisk, dirs: SandboxDirs) -> Self {
        Self { disk, made: OnceLock::from(dirs) }
    }

    /// What the runner sees, made if it is not there yet. Blocks.
    ///
    /// # Errors
    /// What the file system says.
    pub(crate) fn make(&self) -> io::Result<&SandboxDirs> {
        if let Some(made) = self.made() {
            return Ok(made);
        }
        let task = self.disk.folder()?;
        let dirs =
            SandboxDirs { work: task.join("sandbox"), inputs: task.join("inputs"), tmp: task.join("tmp") };
        // `/work/inputs` is mounted over this one; it is here so that a listing of `/work` shows it.
        let shadow = dirs.work.join("inputs");
        for dir in [&dirs.work, &dirs.inputs, &shadow, &dirs.tmp] {
            make(dir)?;
        }
        Ok(self.made.get_or_init(|| dirs))
    }

    /// What the runner sees, if it was made.
    pub(crate) fn made(&self) -> Option<&SandboxDirs> {
        self.made.get()
    }

    /// The folder of parts that are kept but were not materialised, made if it is not there yet. The runner can't reach
    /// it. Blocks.
    ///
    /// # Errors
    /// What the file system says.
    pub(crate) fn spool(&self) -> io::Result<PathBuf> {
        let spool = self.disk.folder()?.join("spool");
        make(&spool)?;
        Ok(spool)
    }
}

fn make(dir: &Path) -> io::Result<()> {
    match std::fs::create_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}
