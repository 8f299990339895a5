//! A file that the runner has written, opened by the path that the runner knows it by.

use std::io;
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, File, OpenOptions, OpenOptionsExt as _};
use posemesh_runner_api::failure::Blame;
use posemesh_runner_api::ports::PortError;
use posemesh_text::one_line;
use rustix::fs::OFlags;

use crate::instance::scratch::folders::SandboxDirs;
use crate::instance::trouble::host_cause;

/// How much of a path is shown, in bytes.
const MAX_SHOWN: usize = 512;

/// Opens a regular file of the sandbox, whatever links lie there: cap-std lets no path leave its directory.
pub(crate) fn open(dirs: &SandboxDirs, path: &str) -> Result<File, PortError> {
    let shown = one_line(path, MAX_SHOWN);
    let below = |top: &str| path.strip_prefix(top)?.strip_prefix('/');
    // On the host the inputs lie beside the work folder and not in it; only the guest sees them below `/work`.
    let (dir, relative) = match (below("/work"), below("/tmp")) {
        (_, Some(rest)) => (&dirs.tmp, rest),
        (None, _) if path.starts_with('/') => {
            let text = format!("file \"{shown}\": a runner's own files lie in /work and /tmp");
            return Err(PortError::invalid(text));
        }
        (work, _) => {
            let relative = work.unwrap_or(path);
            relative.strip_prefix("inputs/").map_or((&dirs.work, relative), |rest| (&dirs.inputs, rest))
        }
    };
    // The folder is the host's: that it can't be opened is no fault of the path.
    let folder = Dir::open_ambient_dir(dir, ambient_authority())
        .map_err(|error| PortError::host(format!("opening the sandbox directory: {error}")))?;
    let open = || {
        let mut options = OpenOptions::new();
        // A runner can't make a FIFO, but whoever waits for one waits for ever.
        options.read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
        let file = folder.open_with(Path::new(relative), &options)?;
        // Asked of the open file: the runner could put something else in its place after a look at the path.
        if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a regular file")) }
    };
    open().map_err(|error| match error.kind() {
        // The runner's own file: the task is not to blame for it.
        io::ErrorKind::NotFound => {
            PortError::not_found(format!("file \"{shown}\" is not in the sandbox")).blamed_on(Blame::Runner)
        }
        _ if host_cause(&error).is_some() => PortError::host(format!("opening file \"{shown}\": {error}")),
        _ => PortError::invalid(format!("opening file \"{shown}\" of the sandbox: {error}")),
    })
}
