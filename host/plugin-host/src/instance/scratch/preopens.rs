//! What a guest finds open: `/work`, `/work/inputs`, `/tmp`, the working directory and the granted folders. They are made and opened when it first asks,
//! which a guest that needs no file never does.

use std::fs::File;
use std::sync::{Arc, OnceLock};

use rustix::fs::{CWD, Mode, OFlags, openat};
use wasmtime_wasi::filesystem::{Dir, FsPerms, OpenMode};

use crate::folders::OpenFolder;
use crate::instance::scratch::Scratch;

/// The folders of one instance.
pub(crate) struct Preopens {
    granted: Arc<[OpenFolder]>,
    opened: OnceLock<Vec<(Dir, String)>>,
}

impl Preopens {
    /// The folders of the sandbox, if there are any, and what was granted.
    pub(crate) fn new(granted: Arc<[OpenFolder]>) -> Self {
        Self { granted, opened: OnceLock::new() }
    }

    /// All of them, with the paths that the guest has them under.
    ///
    /// # Errors
    /// When the machine can't make or open one.
    pub(crate) fn open(&self, scratch: &Scratch) -> wasmtime::Result<&[(Dir, String)]> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened);
        }
        let mut opened = Vec::new();
        if scratch.has_folders() {
            let dirs = scratch.dirs().map_err(|error| wasmtime::Error::msg(error.text))?;
            let work = open(scratch, CWD, &dirs.work, FsPerms::ReadWrite)?;
            // The first is where runtimes begin that know no working directory.
            opened.push((work.clone(), "/work".to_owned()));
            // Read only: `read-at` reads the same files on the host's side after they were materialised.
            let inputs = open(scratch, CWD, &dirs.inputs, FsPerms::ReadOnly)?;
            opened.push((inputs, "/work/inputs".to_owned()));
            let tmp = open(scratch, CWD, &dirs.tmp, FsPerms::ReadWrite)?;
            opened.push((tmp, "/tmp".to_owned()));
            // C libraries don't ask for the working directory; they look for a folder of this name.
            opened.push((work, ".".to_owned()));
        }
        for OpenFolder { name, folder } in self.granted.iter() {
            // This very folder, which was looked at, and not what its path may lead to by now.
            let granted = open(scratch, folder, ".", FsPerms::ReadOnly)?;
            opened.push((granted, format!("/data/{name}")));
        }
        Ok(self.opened.get_or_init(|| opened))
    }
}

fn open(
    scratch: &Scratch,
    at: impl std::os::fd::AsFd,
    path: impl rustix::path::Arg,
    rights: FsPerms,
) -> wasmtime::Result<Dir> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = openat(at, path, flags, Mode::empty()).map_err(|error| {
        let what = format!("opening a folder of the sandbox for the runner: {error}");
        scratch.trouble().saw_host(&*what);
        wasmtime::Error::msg(what)
    })?;
    let mode = match rights {
        FsPerms::ReadOnly => OpenMode::READ,
        FsPerms::ReadWrite => OpenMode::READ | OpenMode::WRITE,
    };
    // The guest has its thread for itself.
    Ok(Dir::new(File::from(opened), rights, mode, true))
}
