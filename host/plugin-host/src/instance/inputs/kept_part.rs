//! A part, or the end of one, in a file that counts against the scratch budget.

use std::fs::{File, Permissions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use posemesh_runner_api::ports::{DEFAULT_CHUNK, PartInfo, PartStream, PortError};

use crate::instance::inputs::file_names::free_name;
use crate::instance::scratch::Scratch;

/// The file and its share of the budget. Both go with it, unless it was materialised: then the runner has it.
pub(crate) struct KeptPart {
    file: File,
    /// The file of the part in the spool folder.
    path: PathBuf,
    /// Bytes before this offset were streamed away and are not in the file.
    from: u64,
    /// Bytes of the scratch budget that the part takes.
    bytes: u64,
    scratch: Arc<Scratch>,
    materialised: bool,
}

impl Drop for KeptPart {
    fn drop(&mut self) {
        if !self.materialised {
            // What can't be removed goes with the task's directory.
            let _ = std::fs::remove_file(&self.path);
            self.scratch.release(self.bytes);
        }
    }
}

impl KeptPart {
    /// An empty file for the bytes `from..size` of a part. Their room is taken before the first is written.
    pub(crate) fn create(scratch: Arc<Scratch>, from: u64, size: u64) -> Result<Self, PortError> {
        // Once a runner has it, it is only read. The mode is that of a new file: a sandbox process can change none.
        let (file, path) = tempfile::Builder::new()
            .prefix("part-")
            .permissions(Permissions::from_mode(0o400))
            .tempfile_in(scratch.spool()?)
            .and_then(|file| file.keep().map_err(|error| error.error))
            .map_err(|error| PortError::host(format!("making a file for an input part: {error}")))?;
        // With no bytes yet: if the reservation fails, dropping this removes the file and releases nothing.
        let mut kept = Self { file, path, from, bytes: 0, scratch, materialised: false };
        let bytes = size.saturating_sub(from);
        kept.scratch.reserve(bytes).map_err(|error| PortError::limit(error.to_string()))?;
        kept.bytes = bytes;
        Ok(kept)
    }

    /// Fills the file with the rest of the stream's current part, which has `size` bytes in all.
    pub(crate) async fn fill(&mut self, stream: &mut dyn PartStream, size: u64) -> Result<(), PortError> {
        let failed = |error| PortError::host(format!("keeping an input part in the sandbox: {error}"));
        // Bytes keep the offsets that they have in the part; the hole in front takes no room on the disk.
        self.file.seek(SeekFrom::Start(self.from)).map_err(failed)?;
        let mut at = self.from;
        while at < size {
            let bytes = stream.read(DEFAULT_CHUNK).await?;
            if bytes.is_empty() {
                return Err(PortError::corrupt(format!("an input part ended after {at} of {size} bytes")));
            }
            // The runner's own thread does this: blocking it blocks nobody else.
            self.file.write_all(&bytes).map_err(failed)?;
            at += bytes.len() as u64;
        }
        Ok(())
    }

    /// Whether the file has the part from its first byte on.
    pub(crate) fn is_whole(&self) -> bool {
        self.from == 0
    }

    /// The bytes at an offset; the caller knows that they are there.
    pub(crate) fn read_at(&self, offset: u64, want: usize) -> Result<Bytes, PortError> {
        let mut bytes = vec![0; want];
        self.file
            .read_exact_at(&mut bytes, offset)
            .map_err(|error| PortError::host(format!("reading a kept input part at {offset}: {error}")))?;
        Ok(bytes.into())
    }

    /// Moves the file to where the runner can read it; its path there.
    pub(crate) fn materialise(&mut self, info: &PartInfo) -> Result<String, PortError> {
        let inputs = &self.scratch.dirs()?.inputs;
        let spool = self.path.parent().unwrap_or(&self.path);
        let file_name = self.path.file_name().unwrap_or_default();
        // Names are harmless by now; if one were not, these handles would let it lead nowhere else.
        let link = || -> std::io::Result<String> {
            let [spool, inputs] = [spool, inputs].map(|dir| Dir::open_ambient_dir(dir, ambient_authority()));
            let (spool, inputs) = (spool?, inputs?);
            // Links count as taken too, which is why this looks at the name itself and not at what it leads to.
            let name = free_name(info, |name| inputs.symlink_metadata(name).is_ok());
            if let Some(parent) = Path::new(&name).parent() {
                inputs.create_dir_all(parent)?;
            }
            // Both folders belong to one task's directory, so this moves the file without a copy.
            spool.rename(file_name, &inputs, &name)?;
            Ok(format!("/work/inputs/{name}"))
        };
        let path = link()
            .map_err(|error| PortError::host(format!("materialising part {}: {error}", info.data_id)))?;
        // From here on the runner knows the path: the file and its share of the budget stay until the task ends.
        self.materialised = true;
        Ok(path)
    }
}
