//! One opened CID: a forward-only stream of parts, and files for what is wanted twice, out of order or as
//! a path.
//!
//! **Invariant:** a part's bytes are never held in memory beyond one chunk, and nothing touches the disk
//! until `read-at`, `materialise` or a half-read part makes it necessary.

use std::sync::Arc;

use bytes::Bytes;
use posemesh_runner_api::ports::{InputPort, PartInfo, PartStream, PortError};

use crate::instance::inputs::kept_part::KeptPart;
use crate::instance::scratch::Scratch;

/// The parts of one CID and how far each was read.
pub(crate) struct InputReader {
    cid: String,
    port: Arc<dyn InputPort>,
    stream: Box<dyn PartStream>,
    parts: Vec<OpenPart>,
    scratch: Arc<Scratch>,
}

struct OpenPart {
    info: PartInfo,
    /// What `read` has handed out.
    cursor: u64,
    /// The guest has dropped its handle: the part's rest need not be kept.
    dropped: bool,
    kept: Option<KeptPart>,
    path: Option<String>,
    /// Why what follows `cursor` can't be read any more: it was lost on its way into a file.
    lost: Option<PortError>,
}

impl OpenPart {
    fn held(&self) -> u64 {
        let texts = [&self.info.data_id, &self.info.name, &self.info.data_type];
        size_of::<Self>() as u64 + texts.iter().map(|text| text.len() as u64).sum::<u64>()
    }
}

impl InputReader {
    /// Opens a CID.
    pub(crate) async fn open(
        port: Arc<dyn InputPort>,
        cid: String,
        scratch: Arc<Scratch>,
    ) -> Result<Self, PortError> {
        let stream = port.open(&cid).await?;
        Ok(Self { cid, port, stream, parts: Vec::new(), scratch })
    }

    /// Moves on; keeps the rest of a half-read part that is still held. The index of the new part.
    pub(crate) async fn next_part(&mut self) -> Result<Option<usize>, PortError> {
        if let Some(current) = self.parts.len().checked_sub(1) {
            let part = self.part(current)?;
            // The stream can't go back, so what the guest may still read has to be saved before moving on.
            if !part.dropped && part.kept.is_none() && part.cursor < part.info.size {
                let kept = self.keep_current(current).await?;
                self.part_mut(current)?.kept = Some(kept);
            }
        }
        let Some(info) = self.stream.next_part().await? else { return Ok(None) };
        self.parts.push(OpenPart { info, cursor: 0, dropped: false, kept: None, path: None, lost: None });
        Ok(Some(self.parts.len() - 1))
    }

    /// About how many bytes of memory the parts take that were seen so far.
    pub(crate) fn held(&self) -> u64 {
        self.parts.iter().map(OpenPart::held).sum()
    }

    /// The same of the largest of them alone.
    pub(crate) fn held_for_one(&self) -> u64 {
        self.parts.iter().map(OpenPart::held).max().unwrap_or_default()
    }

    pub(crate) fn info(&self, index: usize) -> Result<&PartInfo, PortError> {
        Ok(&self.part(index)?.info)
    }

    /// Releases what is kept of a part whose handle is gone.
    pub(crate) fn drop_part(&mut self, index: usize) {
        if let Some(part) = self.parts.get_mut(index) {
            part.dropped = true;
            // Unless it was materialised, its room in the budget is free at once, not only when the task ends.
            part.kept = None;
        }
    }

    /// The next bytes of a part; none at its end.
    pub(crate) async fn read(&mut self, index: usize, max_bytes: usize) -> Result<Bytes, PortError> {
        let is_current = index + 1 == self.parts.len();
        let part = self.part(index)?;
        // The announced size says where a part ends: a stream that ends early is an error, not the end.
        let left = part.info.size.saturating_sub(part.cursor);
        let bytes = if left == 0 {
            Bytes::new()
        } else if let Some(kept) = &part.kept {
            kept.read_at(part.cursor, at_most(left, max_bytes))?
        } else if let Some(error) = &part.lost {
            return Err(error.clone());
        } else if is_current {
            self.stream.read(max_bytes).await?
        } else {
            Bytes::new()
        };
        let part = self.part(index)?;
        if bytes.is_empty() && left > 0 {
            return Err(PortError::corrupt(format!(
                "part {} of {} ended after {} of {} bytes",
                part.info.data_id, self.cid, part.cursor, part.info.size
            )));
        }
        self.part_mut(index)?.cursor += bytes.len() as u64;
        Ok(bytes)
    }

    /// Bytes from an offset; none at or past the end.
    pub(crate) async fn read_at(
        &mut self,
        index: usize,
        offset: u64,
        max_bytes: usize,
    ) -> Result<Bytes, PortError> {
        let part = self.keep_whole(index).await?;
        let want = at_most(part.info.size.saturating_sub(offset), max_bytes);
        match &part.kept {
            Some(kept) if want > 0 => kept.read_at(offset, want),
            _ => Ok(Bytes::new()),
        }
    }

    /// The path of the part in the sandbox, the same at each call.
    pub(crate) async fn materialise(&mut self, index: usize) -> Result<String, PortError> {
        if let Some(path) = &self.part(index)?.path {
            return Ok(path.clone());
        }
        let part = self.keep_whole(index).await?;
        let Some(kept) = &mut part.kept else { return Err(missing(&part.info)) };
        let path = kept.materialise(&part.info)?;
        part.path = Some(path.clone());
        Ok(path)
    }

    /// Makes sure that the whole part lies in a file: from the stream if it is untouched, by a second
    /// download otherwise.
    async fn keep_whole(&mut self, index: usize) -> Result<&mut OpenPart, PortError> {
        let is_current = index + 1 == self.parts.len();
        let part = self.part(index)?;
        if !part.kept.as_ref().is_some_and(KeptPart::is_whole) {
            // Only an untouched part can be had whole from the stream, which spares a second download.
            let kept = if is_current && part.cursor == 0 && part.kept.is_none() {
                self.keep_current(index).await?
            } else {
                self.download_again(index).await?
            };
            self.part_mut(index)?.kept = Some(kept);
        }
        self.part_mut(index)
    }

    async fn keep_current(&mut self, index: usize) -> Result<KeptPart, PortError> {
        let OpenPart { info: PartInfo { size, .. }, cursor, .. } = *self.part(index)?;
        let mut kept = KeptPart::create(self.scratch.clone(), cursor, size)?;
        if let Err(error) = kept.fill(self.stream.as_mut(), size).await {
            // The stream is somewhere in between.
            self.part_mut(index)?.lost = Some(error.clone());
            return Err(error);
        }
        Ok(kept)
    }

    async fn download_again(&mut self, index: usize) -> Result<KeptPart, PortError> {
        let wanted = self.part(index)?.info.clone();
        // By the part's own ID only that part is sent again; without one the whole input has to be gone through.
        let cid = if wanted.data_id.is_empty() { &self.cid } else { &wanted.data_id };
        let mut stream = self.port.open(cid).await?;
        while let Some(info) = stream.next_part().await? {
            if info.data_id != wanted.data_id {
                continue;
            }
            // Bytes of two versions must not be mixed: the guest may have read the start of the older one.
            if info.size != wanted.size || info.updated_at != wanted.updated_at {
                return Err(PortError::corrupt(format!(
                    "part {} had {} bytes and has {} now, or other ones: it was changed while the task was running",
                    wanted.data_id, wanted.size, info.size
                )));
            }
            let mut kept = KeptPart::create(self.scratch.clone(), 0, info.size)?;
            kept.fill(stream.as_mut(), info.size).await?;
            return Ok(kept);
        }
        Err(missing(&wanted))
    }

    fn part(&self, index: usize) -> Result<&OpenPart, PortError> {
        self.parts.get(index).ok_or_else(|| PortError::invalid("no such part"))
    }

    fn part_mut(&mut self, index: usize) -> Result<&mut OpenPart, PortError> {
        self.parts.get_mut(index).ok_or_else(|| PortError::invalid("no such part"))
    }
}

fn missing(info: &PartInfo) -> PortError {
    PortError::not_found(format!("part {} is no longer there", info.data_id))
}

fn at_most(left: u64, max_bytes: usize) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX).min(max_bytes)
}

#[cfg(test)]
mod tests;
