//! One opened CID: a forward-only stream of parts, and files for what is wanted twice, out of order or as
//! a path.
//!
//! **Invariant:** a part's bytes are never held in memory beyond one chunk, and nothing touches the disk
//! until `read-at`, `materialise` or a half-read part makes it necessary.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use cap_std::ambient_authority;
use cap_std::fs::Dir;

use super::scratch::{SandboxDirs, Scratch};
use posemesh_runner_api::ports::{DEFAULT_CHUNK, InputPort, PartInfo, PartStream, PortError};

/// The parts of one CID and how far each was taken.
pub struct Download {
    cid: String,
    port: Arc<dyn InputPort>,
    stream: Box<dyn PartStream>,
    parts: Vec<Part>,
    place: Place,
}

/// Where kept parts go, and what they may cost.
#[derive(Clone)]
pub struct Place {
    /// None where there is no sandbox directory (in `describe`).
    pub dirs: Option<SandboxDirs>,
    /// The budget.
    pub scratch: Arc<Scratch>,
}

struct Part {
    info: PartInfo,
    /// What `read` has handed out.
    cursor: u64,
    /// Nobody holds it any more: its rest need not be kept.
    dropped: bool,
    kept: Option<Kept>,
    path: Option<String>,
    /// Why what follows `cursor` can't be read any more: it was lost on its way into a file.
    lost: Option<PortError>,
}

/// A part, or the end of one, in a file that counts against the scratch budget. Both go with it, unless it was
/// materialised: then the runner has it.
struct Kept {
    file: File,
    /// Where it is in the spool folder.
    path: PathBuf,
    /// Bytes before this were streamed away and are not in the file.
    from: u64,
    /// What it takes of the budget.
    bytes: u64,
    scratch: Arc<Scratch>,
    materialised: bool,
}

impl Drop for Kept {
    fn drop(&mut self) {
        if !self.materialised {
            // What can't be removed goes with the task's directory.
            let _ = std::fs::remove_file(&self.path);
            self.scratch.give_back(self.bytes);
        }
    }
}

impl Download {
    /// Opens a CID.
    ///
    /// # Errors
    /// What the port says.
    pub async fn open(port: Arc<dyn InputPort>, cid: String, place: Place) -> Result<Self, PortError> {
        let stream = port.open(&cid).await?;
        Ok(Self { cid, port, stream, parts: Vec::new(), place })
    }

    /// Moves on; keeps the rest of a half-read part that is still held. The index of the new part.
    pub async fn next_part(&mut self) -> Result<Option<usize>, PortError> {
        if let Some(current) = self.parts.len().checked_sub(1) {
            let part = self.part(current)?;
            if !part.dropped && part.kept.is_none() && part.cursor < part.info.size {
                let kept = self.keep_current(current).await?;
                self.part_mut(current)?.kept = Some(kept);
            }
        }
        let Some(info) = self.stream.next_part().await? else { return Ok(None) };
        self.parts.push(Part { info, cursor: 0, dropped: false, kept: None, path: None, lost: None });
        Ok(Some(self.parts.len() - 1))
    }

    /// What is known of a part.
    pub fn info(&self, index: usize) -> Result<&PartInfo, PortError> {
        Ok(&self.part(index)?.info)
    }

    /// Its holder has let it go.
    pub fn drop_part(&mut self, index: usize) {
        if let Some(part) = self.parts.get_mut(index) {
            part.dropped = true;
            part.kept = None;
        }
    }

    /// The next bytes of a part; none at its end.
    pub async fn read(&mut self, index: usize, max_bytes: usize) -> Result<Bytes, PortError> {
        let is_current = index + 1 == self.parts.len();
        let part = self.part_mut(index)?;
        let left = part.info.size.saturating_sub(part.cursor);
        let bytes = if left == 0 {
            Bytes::new()
        } else if let Some(kept) = &part.kept {
            let want = usize::try_from(left).unwrap_or(usize::MAX).min(max_bytes);
            read_file(kept, part.cursor, want)?
        } else if let Some(error) = &part.lost {
            return Err(error.clone());
        } else if is_current {
            self.stream.read(max_bytes).await?
        } else {
            Bytes::new()
        };
        if bytes.is_empty() && left > 0 {
            let part = self.part(index)?;
            return Err(PortError::corrupt(format!(
                "part {} of {} ended after {} of {} bytes",
                part.info.data_id, self.cid, part.cursor, part.info.size
            )));
        }
        self.part_mut(index)?.cursor += bytes.len() as u64;
        Ok(bytes)
    }

    /// Bytes from an offset; none at or past the end.
    pub async fn read_at(&mut self, index: usize, offset: u64, max_bytes: usize) -> Result<Bytes, PortError> {
        self.keep_whole(index).await?;
        let part = self.part(index)?;
        let left = part.info.size.saturating_sub(offset);
        let want = usize::try_from(left).unwrap_or(usize::MAX).min(max_bytes);
        match &part.kept {
            Some(kept) if want > 0 => read_file(kept, offset, want),
            _ => Ok(Bytes::new()),
        }
    }

    /// The path of the part in the sandbox.
    pub async fn materialise(
        &mut self,
        index: usize,
        taken: &mut HashSet<String>,
    ) -> Result<String, PortError> {
        if let Some(path) = &self.part(index)?.path {
            return Ok(path.clone());
        }
        self.keep_whole(index).await?;
        let dirs = self.dirs()?.clone();
        let part = self.part_mut(index)?;
        let name = free_name(&sandbox_name(&part.info), taken);
        let Some(kept) = &mut part.kept else { return Err(lost(&part.info)) };
        let file_name = kept.path.file_name().unwrap_or_default().to_owned();
        // Names are harmless by now; if one were not, these handles would let it lead nowhere else.
        let link = || -> std::io::Result<()> {
            let [spool, inputs] =
                [&dirs.spool, &dirs.inputs].map(|dir| Dir::open_ambient_dir(dir, ambient_authority()));
            let (spool, inputs) = (spool?, inputs?);
            if let Some(parent) = Path::new(&name).parent() {
                inputs.create_dir_all(parent)?;
            }
            let mut rights = kept.file.metadata()?.permissions();
            rights.set_readonly(true);
            kept.file.set_permissions(rights)?;
            spool.rename(file_name, &inputs, &name)
        };
        link().map_err(|error| {
            PortError::other(format!("materialising part {} as {name}: {error}", part.info.data_id))
        })?;
        kept.materialised = true;
        let path = format!("/work/inputs/{name}");
        part.path = Some(path.clone());
        taken.insert(name);
        Ok(path)
    }

    /// Sees to it that the whole part lies in a file: from the stream if it is untouched, by a second
    /// download otherwise.
    async fn keep_whole(&mut self, index: usize) -> Result<(), PortError> {
        let is_current = index + 1 == self.parts.len();
        let part = self.part(index)?;
        if part.kept.as_ref().is_some_and(|kept| kept.from == 0) {
            return Ok(());
        }
        let kept = if is_current && part.cursor == 0 && part.kept.is_none() {
            self.keep_current(index).await?
        } else {
            self.fetch_again(index).await?
        };
        self.part_mut(index)?.kept = Some(kept);
        Ok(())
    }

    async fn keep_current(&mut self, index: usize) -> Result<Kept, PortError> {
        let (size, cursor) = {
            let part = self.part(index)?;
            (part.info.size, part.cursor)
        };
        let mut kept = self.spool_file(cursor, size - cursor)?;
        if let Err(error) = copy(self.stream.as_mut(), &mut kept.file, cursor, size).await {
            // The stream is somewhere in between.
            self.part_mut(index)?.lost = Some(error.clone());
            return Err(error);
        }
        Ok(kept)
    }

    async fn fetch_again(&mut self, index: usize) -> Result<Kept, PortError> {
        let wanted = self.part(index)?.info.clone();
        let cid = if wanted.data_id.is_empty() { self.cid.clone() } else { wanted.data_id.clone() };
        let mut stream = self.port.open(&cid).await?;
        while let Some(info) = stream.next_part().await? {
            if info.data_id != wanted.data_id {
                continue;
            }
            if info.size != wanted.size || info.updated_at != wanted.updated_at {
                return Err(PortError::corrupt(format!(
                    "part {} had {} bytes and has {} now, or other ones: it was changed while the task was running",
                    wanted.data_id, wanted.size, info.size
                )));
            }
            let mut kept = self.spool_file(0, info.size)?;
            copy(stream.as_mut(), &mut kept.file, 0, info.size).await?;
            return Ok(kept);
        }
        Err(lost(&wanted))
    }

    /// An empty file for so many bytes of a part, from `from` on.
    fn spool_file(&self, from: u64, bytes: u64) -> Result<Kept, PortError> {
        let dirs = self.dirs()?;
        let (file, path) = tempfile::Builder::new()
            .prefix("part-")
            .tempfile_in(&dirs.spool)
            .and_then(|file| file.keep().map_err(|error| error.error))
            .map_err(|error| PortError::other(format!("making a file for an input part: {error}")))?;
        let scratch = Arc::clone(&self.place.scratch);
        let mut kept = Kept { file, path, from, bytes: 0, scratch, materialised: false };
        kept.scratch.take(bytes).map_err(|error| PortError::limit(error.to_string()))?;
        kept.bytes = bytes;
        Ok(kept)
    }

    fn dirs(&self) -> Result<&SandboxDirs, PortError> {
        let none = || PortError::denied("there is no sandbox directory here".to_owned());
        self.place.dirs.as_ref().ok_or_else(none)
    }

    fn part(&self, index: usize) -> Result<&Part, PortError> {
        self.parts.get(index).ok_or_else(|| PortError::invalid("no such part".to_owned()))
    }

    fn part_mut(&mut self, index: usize) -> Result<&mut Part, PortError> {
        self.parts.get_mut(index).ok_or_else(|| PortError::invalid("no such part".to_owned()))
    }
}

fn lost(info: &PartInfo) -> PortError {
    PortError::not_found(format!("part {} is no longer there", info.data_id))
}

fn read_file(kept: &Kept, offset: u64, want: usize) -> Result<Bytes, PortError> {
    let mut bytes = vec![0; want];
    kept.file
        .read_exact_at(&mut bytes, offset)
        .map_err(|error| PortError::other(format!("reading a kept input part at {offset}: {error}")))?;
    Ok(bytes.into())
}

async fn copy(stream: &mut dyn PartStream, file: &mut File, from: u64, size: u64) -> Result<(), PortError> {
    let failed = |error| PortError::other(format!("keeping an input part in the sandbox: {error}"));
    file.seek(SeekFrom::Start(from)).map_err(failed)?;
    let mut at = from;
    while at < size {
        let bytes = stream.read(DEFAULT_CHUNK).await?;
        if bytes.is_empty() {
            return Err(PortError::corrupt(format!("an input part ended after {at} of {size} bytes")));
        }
        // The runner's own thread does this: blocking it blocks nobody else.
        file.write_all(&bytes).map_err(failed)?;
        at += bytes.len() as u64;
    }
    Ok(())
}

/// `SCAN/NAME.TYPE` by protocol 6.5.
fn sandbox_name(info: &PartInfo) -> String {
    let scan = scan_of(&info.name).unwrap_or(&info.name);
    format!("{}/{}.{}", sanitise(scan), sanitise(&info.name), sanitise(&info.data_type))
}

/// The first `YYYY-MM-DD_hh-mm-ss` (or with `-` between) in a name.
fn scan_of(name: &str) -> Option<&str> {
    const SHAPE: &[u8] = b"dddd-dd-dd_dd-dd-dd";
    let fits = |window: &[u8]| {
        window.iter().zip(SHAPE).all(|(byte, shape)| match shape {
            b'd' => byte.is_ascii_digit(),
            b'_' => *byte == b'_' || *byte == b'-',
            other => byte == other,
        })
    };
    let start = name.as_bytes().windows(SHAPE.len()).position(fits)?;
    name.get(start..start + SHAPE.len())
}

fn sanitise(text: &str) -> String {
    let keep = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
    // A file name has at most 255 bytes; the rest of the path needs some.
    let clean: String = text.chars().take(100).map(keep).collect();
    if clean.is_empty() { "part".to_owned() } else { clean }
}

/// The name, or with `-2`, `-3`... before its type if it is taken.
fn free_name(name: &str, taken: &HashSet<String>) -> String {
    let (stem, kind) = name.rsplit_once('.').unwrap_or((name, "part"));
    let mut free = name.to_owned();
    let mut number = 2;
    while taken.contains(&free) {
        free = format!("{stem}-{number}.{kind}");
        number += 1;
    }
    free
}

#[cfg(test)]
mod tests;
