//! Unpacks gzip as `gzip -d` does: members one after the other, and whatever comes behind the last one
//! (zeros that fill a block, a signature) is left alone.

use std::io::{self, BufRead, Chain, Cursor, Read};

use flate2::bufread::GzDecoder;

/// What a gzip member begins with.
pub(super) const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The two first bytes, which were read to look at them, and the rest.
type Whole<R> = Chain<Cursor<Vec<u8>>, R>;

/// The unpacked bytes of all members.
pub(super) struct Members<R> {
    /// The member that is being read; none behind the last one.
    member: Option<GzDecoder<Whole<R>>>,
}

impl<R: BufRead> Members<R> {
    /// Begins at the first byte of a member.
    pub(super) fn new(whole: Whole<R>) -> Self {
        Self { member: Some(GzDecoder::new(whole)) }
    }

    /// The member that follows, if one does.
    fn next(member: GzDecoder<Whole<R>>) -> io::Result<Option<GzDecoder<Whole<R>>>> {
        // The decoder has read a member's header, hence all of the bytes in front of the chain.
        let (_, mut rest) = member.into_inner().into_inner();
        let magic = begin(&mut rest)?;
        let follows = magic == MAGIC;
        Ok(follows.then(|| GzDecoder::new(Cursor::new(magic).chain(rest))))
    }
}

/// The first two bytes; fewer at the end of the file.
pub(super) fn begin(raw: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut magic = Vec::with_capacity(MAGIC.len());
    raw.take(MAGIC.len() as u64).read_to_end(&mut magic)?;
    Ok(magic)
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while let Some(mut member) = self.member.take() {
            let read = member.read(buffer);
            if matches!(read, Ok(0)) {
                self.member = Self::next(member)?;
                continue;
            }
            self.member = Some(member);
            return read;
        }
        Ok(0)
    }
}
