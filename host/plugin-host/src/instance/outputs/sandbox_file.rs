//! A file that the runner has written, opened by the path that the runner knows it by.

use std::io;
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, File};
use posemesh_runner_api::ports::PortError;
use posemesh_text::one_line;

use crate::instance::scratch::SandboxDirs;

/// How much of a path is shown, in bytes.
const MAX_SHOWN: usize = 512;

/// Opens a regular file of the sandbox, whatever links lie there: cap-std lets no path leave its directory.
pub(crate) fn open(dirs: &SandboxDirs, path: &str) -> Result<File, PortError> {
    let shown = one_line(path, MAX_SHOWN);
    let relative = match path.strip_prefix('/') {
        None => path,
        Some(rest) => rest
            .strip_prefix("work/")
            .ok_or_else(|| PortError::invalid(format!("file \"{shown}\": the sandbox directory is /work")))?,
    };
    // On the host the inputs lie beside the work folder and not in it; only the guest sees them below `/work`.
    let (dir, relative) = match relative.strip_prefix("inputs/") {
        Some(rest) => (&dirs.inputs, rest),
        None => (&dirs.work, relative),
    };
    let open = || {
        let file = Dir::open_ambient_dir(dir, ambient_authority())?.open(Path::new(relative))?;
        // Asked of the open file: the runner could put something else in its place after a look at the path.
        if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a regular file")) }
    };
    open().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => PortError::not_found(format!("file \"{shown}\" is not in the sandbox")),
        _ => PortError::invalid(format!("opening file \"{shown}\" of the sandbox: {error}")),
    })
}
