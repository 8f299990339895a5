//! The file in which a registry remembers its runners. It is read once and written whole, whenever something has changed.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use posemesh_files::{open_private, write_private};
use posemesh_text::one_line;

use crate::registry::memory::RunnerMemory;

/// The largest file that is read.
const MAX_BYTES: u64 = 8 << 20;
/// How much of a mistake is shown, in bytes.
const MAX_SHOWN: usize = 300;

/// Where it lies.
#[derive(Debug, Clone)]
pub(crate) struct MemoryFile(PathBuf);

impl MemoryFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// What an earlier process has remembered. A file that is broken, or that somebody else can have written, is as good
    /// as none, and that is said. Blocks.
    pub(crate) fn read(&self) -> RunnerMemory {
        match read(&self.0) {
            Ok(memory) => memory.adopt(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => RunnerMemory::default().adopt(),
            Err(error) => {
                tracing::warn!(
                    path = %self.0.display(),
                    error = one_line(&error, MAX_SHOWN),
                    "who served which capability can't be read and is forgotten: of several runners that claim the same, \
                     the first to be ready serves it"
                );
                RunnerMemory::default().adopt()
            }
        }
    }

    /// Replaces the file. Blocks.
    ///
    /// # Errors
    /// What the file system says.
    pub(crate) fn write(&self, memory: &RunnerMemory) -> io::Result<()> {
        write_private(&self.0, &serde_json::to_vec(memory)?)
    }
}

fn read(path: &Path) -> io::Result<RunnerMemory> {
    let mut text = Vec::new();
    open_private(path)?.take(MAX_BYTES + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("it has more than {MAX_BYTES} bytes"),
        ));
    }
    Ok(serde_json::from_slice(&text)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;
    use crate::registry::claims::Claim;
    use crate::registry::memory::IncumbentState;

    #[test]
    fn what_is_written_is_read_and_whatever_else_lies_there_is_as_good_as_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = MemoryFile::new(dir.path().join("runners.json"));
        let empty = RunnerMemory::default().adopt();
        assert_eq!(file.read(), empty);
        let mut memory = empty.clone();
        let claim = Claim { name: "a".to_owned(), priority: 0, capabilities: vec!["/a".to_owned()] };
        memory.observe(std::slice::from_ref(&claim), |_| None, |_| IncumbentState::Settled);
        file.write(&memory).unwrap();
        assert_eq!(file.read(), memory);
        let text = fs::read(file.path()).unwrap();
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o666)).unwrap();
        assert_eq!(file.read(), empty, "somebody else may have written it");
        for broken in [&b"{"[..], b"", b"{\"incumbents\": 5}", b"\xff\xfe"] {
            write_private(file.path(), broken).unwrap();
            assert_eq!(file.read(), empty);
        }
        fs::remove_file(file.path()).unwrap();
        symlink("/dev/zero", file.path()).unwrap();
        assert_eq!(file.read(), empty);
        file.write(&memory).unwrap();
        assert_eq!(fs::read(file.path()).unwrap(), text, "and it is written anew");
        fs::File::options().write(true).open(file.path()).unwrap().set_len(1 << 40).unwrap();
        assert_eq!(file.read(), empty, "a file without end is not read to its end");
    }
}
