//! The folders of one task, and what may be in them.
//!
//! Bytes and files are counted before a runner makes them (`filesystem` asks here), so none is ever too much. What it
//! removes is found by a look at what is there (`look`): before something is refused, and every 100 ms, as a second
//! guard.

pub(crate) mod depth;
pub(crate) mod folders;
pub(crate) mod look;
pub(crate) mod preopens;
pub(crate) mod view;

use std::fs::File;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use posemesh_runner_api::disk::TaskDisk;
use posemesh_runner_api::ports::PortError;

use crate::instance::runner_log::RunnerLog;
use crate::instance::scratch::depth::{MAX_DEPTH, TooDeep, depth_of};
use crate::instance::scratch::folders::{SandboxDirs, TaskFolders};
use crate::instance::scratch::look::{FolderSize, look};
use crate::instance::trouble::RunTrouble;
use crate::manifest::limits::{Limit, LimitReached, Limits};

/// How many opened files are remembered before those that were closed are forgotten.
const FORGET_AFTER: usize = 64;

/// A task's folders and their budget: the bytes of all that lies in the task's directory, and how many files of
/// it are the runner's.
#[derive(Debug)]
pub(crate) struct Scratch {
    disk: TaskDisk,
    /// None in `describe`, which has no directory.
    folders: Option<TaskFolders>,
    most_files: u64,
    account: Mutex<Account>,
    trouble: RunTrouble,
    log: RunnerLog,
}

#[derive(Debug, Default)]
struct Account {
    /// Files, folders and links: never fewer than there are.
    files: u64,
    /// Changes whenever something is added or goes elsewhere: a look that was taken meanwhile may have missed it, and
    /// is not taken over.
    version: u64,
    /// Changes that are being made.
    pending: u64,
    /// What was opened: a file without a name takes room for as long as it is open.
    opened: Vec<Weak<File>>,
    /// The limit that was reached. It stays reached: the runner could remove its files before the next epoch tick asks.
    reached: Option<Limit>,
}

/// Something that was counted and is being made, or is moved or removed: dropped when that is done.
#[derive(Debug)]
pub(crate) struct Growth<'a>(&'a Scratch);

impl Drop for Growth<'_> {
    fn drop(&mut self) {
        let mut account = self.0.account();
        account.pending -= 1;
        account.version += 1;
    }
}

impl Scratch {
    /// Limits what may lie in a task's directory, which is empty, or not there yet.
    pub(crate) fn new(
        disk: TaskDisk,
        folders: Option<TaskFolders>,
        limits: &Limits,
        trouble: RunTrouble,
        log: RunnerLog,
    ) -> Self {
        // The disk is shared with what the node writes for the task, so the limit lives there.
        disk.set_limit(limits.scratch_bytes);
        Self { disk, folders, most_files: limits.scratch_files, account: Mutex::default(), trouble, log }
    }

    /// The folders of the runner, made if they are not there yet. Blocks.
    ///
    /// # Errors
    /// When there are none, or they can't be made: the guest gets this error.
    pub(crate) fn dirs(&self) -> Result<&SandboxDirs, PortError> {
        self.folders()?.make().map_err(|error| self.not_made(&error))
    }

    /// The folder of parts that are kept, made if it is not there yet. Blocks.
    ///
    /// # Errors
    /// As [`Scratch::dirs`].
    pub(crate) fn spool(&self) -> Result<PathBuf, PortError> {
        self.folders()?.spool().map_err(|error| self.not_made(&error))
    }

    /// The folders of the runner, if it has had use for them.
    pub(crate) fn made(&self) -> Option<&SandboxDirs> {
        self.folders.as_ref()?.made()
    }

    /// Whether there may be folders at all.
    pub(crate) fn has_folders(&self) -> bool {
        self.folders.is_some()
    }

    fn folders(&self) -> Result<&TaskFolders, PortError> {
        self.folders.as_ref().ok_or_else(|| PortError::denied("there is no sandbox directory here"))
    }

    fn not_made(&self, error: &io::Error) -> PortError {
        let what = format!("making the sandbox directory {}: {error}", self.disk.path().display());
        self.trouble.saw_host(&*what);
        PortError::host(what)
    }

    /// The budget, in bytes.
    pub(crate) fn limit(&self) -> u64 {
        self.disk.limit()
    }

    /// Where what the host's own files met is noted.
    pub(crate) fn trouble(&self) -> &RunTrouble {
        &self.trouble
    }

    /// Reserves room for bytes of an input.
    ///
    /// # Errors
    /// When the budget is used up.
    pub(crate) fn reserve(&self, bytes: u64) -> Result<(), LimitReached> {
        self.disk.reserve(bytes).map_err(|_| self.limit_of(Limit::ScratchBytes))
    }

    /// Releases room that was reserved.
    pub(crate) fn release(&self, bytes: u64) {
        self.disk.release(bytes);
    }

    /// Bytes reserved and written so far.
    pub(crate) fn used(&self) -> u64 {
        self.disk.used()
    }

    /// Counts what the runner is about to add. Looks at what is there before it refuses, since what was removed or cut
    /// short since the last look is still counted.
    ///
    /// # Errors
    /// The limit that this would pass; nothing may be added then, and the limit counts as reached.
    pub(crate) fn grow(&self, bytes: u64, files: u64) -> Result<Growth<'_>, LimitReached> {
        if let Ok(growth) = self.try_grow(bytes, files) {
            return Ok(growth);
        }
        // On the runner's own thread, so it can't add anything meanwhile.
        self.look_now();
        self.try_grow(bytes, files).map_err(|limit| {
            self.account().reached.get_or_insert(limit);
            self.limit_of(limit)
        })
    }

    fn try_grow(&self, bytes: u64, files: u64) -> Result<Growth<'_>, Limit> {
        let mut account = self.account();
        let counted = account.files.saturating_add(files);
        if files > 0 && counted > self.most_files {
            return Err(Limit::ScratchFiles);
        }
        self.disk.write(bytes).map_err(|_| Limit::ScratchBytes)?;
        account.files = counted;
        account.version += 1;
        account.pending += 1;
        drop(account);
        Ok(Growth(self))
    }

    /// To be held while a file goes to another name, or loses its name.
    pub(crate) fn moving(&self) -> Growth<'_> {
        let mut account = self.account();
        account.version += 1;
        account.pending += 1;
        drop(account);
        Growth(self)
    }

    fn look_now(&self) {
        let Some(dirs) = self.made() else { return };
        let opened = self.account().opened.clone();
        match look(&dirs.changeable(), self.stop_at(), &opened) {
            Ok(found) => {
                let mut account = self.account();
                account.files = found.own_files();
                self.disk.set_written(found.bytes);
            }
            // What is counted stays: it is never too little.
            Err(error) => self.trouble.saw("measuring the sandbox directory", &error),
        }
    }

    /// Looks at what is there, beside the runner; the limit that it has passed, if it has. Blocks.
    pub(crate) fn watch(&self) -> Option<LimitReached> {
        let dirs = self.made()?;
        let (version, pending, opened) = {
            let account = self.account();
            (account.version, account.pending, account.opened.clone())
        };
        match look(&dirs.changeable(), self.stop_at(), &opened) {
            Ok(found) => {
                let mut account = self.account();
                if pending == 0 && account.version == version {
                    account.files = found.own_files();
                    self.disk.set_written(found.bytes);
                }
                drop(account);
                self.found(&found);
            }
            Err(error) => self.trouble.saw("measuring the sandbox directory", &error),
        }
        self.reached()
    }

    /// The second guard: what is there counts, however it came there.
    fn found(&self, found: &FolderSize) {
        let limit = if found.bytes > self.disk.limit() {
            Limit::ScratchBytes
        } else if found.own_files() > self.most_files || found.deepest > MAX_DEPTH {
            Limit::ScratchFiles
        } else {
            return;
        };
        self.account().reached.get_or_insert(limit);
    }

    /// The limit that the runner has reached, if it has.
    pub(crate) fn reached(&self) -> Option<LimitReached> {
        let reached = self.account().reached;
        reached.map(|limit| self.limit_of(limit))
    }

    /// Remembers a file that the runner has opened.
    pub(crate) fn opened(&self, file: &Arc<File>) {
        let mut account = self.account();
        // Each time that twice as many are remembered as were open, so that opening stays cheap.
        if account.opened.len() >= FORGET_AFTER && account.opened.len() == account.opened.capacity() {
            account.opened.retain(|file| file.strong_count() > 0);
        }
        account.opened.push(Arc::downgrade(file));
    }

    /// Checks that a folder, with so many levels below it, may be made in a folder of the sandbox.
    ///
    /// # Errors
    /// When it would lie too deep.
    pub(crate) fn check_depth(&self, parent: &File, levels: usize) -> Result<(), TooDeep> {
        let Some(dirs) = self.made() else { return Ok(()) };
        // What can't be told is too deep only if the look finds it so.
        match depth_of(parent, &dirs.changeable()) {
            Ok(depth) if depth + 1 + levels > MAX_DEPTH => {
                let text = format!("a folder more than {MAX_DEPTH} levels below /work or /tmp was refused");
                self.log.line("node", tracing::Level::WARN, &text);
                Err(TooDeep)
            }
            _ => Ok(()),
        }
    }

    /// Notes whether this machine is the cause when the system's answer says only that something failed.
    pub(crate) fn probe(&self) {
        let Some(folders) = &self.folders else { return };
        // Where the runner can't reach: it must not be able to make the host look guilty.
        let tried = folders.spool().and_then(tempfile::tempfile_in).and_then(|mut file| file.write_all(b"x"));
        if let Err(error) = tried {
            self.trouble.saw("writing to the task's directory", &error);
        }
    }

    fn limit_of(&self, limit: Limit) -> LimitReached {
        let value = match limit {
            Limit::ScratchFiles => self.most_files,
            _ => self.disk.limit(),
        };
        LimitReached { limit, value }
    }

    /// Where counting files should stop: more is too much anyway.
    fn stop_at(&self) -> u64 {
        self.most_files.saturating_add(2)
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
