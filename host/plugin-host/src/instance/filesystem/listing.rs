//! A folder's entries on their way to a guest of WASI 0.2.
//!
//! All are read at once, so that a guest may remove them while it goes through them; what they take counts, since a guest
//! can open the same folder as often as it may have handles.

use std::vec::IntoIter;

use cap_std::fs::{Dir, FileType};
use wasmtime_wasi::p2::bindings::filesystem::types::{DescriptorType, DirectoryEntry, ErrorCode};

use crate::instance::filesystem::meter::Refusal;
use crate::instance::memory::MemoryLeft;

/// What the guest's handle stands for.
pub(crate) struct Listing {
    entries: IntoIter<Result<DirectoryEntry, ErrorCode>>,
    bytes: u64,
}

impl Listing {
    /// Reads a folder.
    ///
    /// # Errors
    /// When it can't be read, or its entries don't fit into the memory that is left.
    pub(super) fn read(dir: &Dir, left: &MemoryLeft) -> Result<Self, Refusal> {
        let (mut entries, mut bytes) = (Vec::new(), 0_u64);
        for entry in dir.entries()? {
            let entry = entry.and_then(|entry| Ok((entry.file_type()?, entry.file_name())));
            let entry = match entry {
                Ok((kind, name)) => match name.into_string() {
                    Ok(name) => Ok(DirectoryEntry { type_: kind_of(kind), name }),
                    Err(_) => Err(ErrorCode::IllegalByteSequence),
                },
                Err(error) => Err(error.into()),
            };
            let name = entry.as_ref().map_or(0, |entry| entry.name.capacity());
            // A list that grows may have twice the room that it needs.
            bytes = bytes.saturating_add((name + 2 * size_of_val(&entry)) as u64);
            left.check(bytes)?;
            entries.push(entry);
        }
        Ok(Self { entries: entries.into_iter(), bytes })
    }

    /// Bytes that it takes, until it is dropped.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The next entry.
    pub(super) fn next(&mut self) -> Option<Result<DirectoryEntry, ErrorCode>> {
        self.entries.next()
    }
}

fn kind_of(kind: FileType) -> DescriptorType {
    if kind.is_dir() {
        DescriptorType::Directory
    } else if kind.is_symlink() {
        DescriptorType::SymbolicLink
    } else if kind.is_file() {
        DescriptorType::RegularFile
    } else {
        DescriptorType::Unknown
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use cap_std::ambient_authority;

    use super::*;
    use crate::manifest::limits::Limit;

    fn folder() -> (tempfile::TempDir, Dir) {
        let folder = tempfile::tempdir().unwrap();
        for n in 0..100 {
            std::fs::write(folder.path().join(format!("{n}-{}", "x".repeat(200))), "").unwrap();
        }
        std::fs::create_dir(folder.path().join("folder")).unwrap();
        let dir = Dir::open_ambient_dir(folder.path(), ambient_authority()).unwrap();
        (folder, dir)
    }

    #[test]
    fn every_entry_is_listed_once_with_what_it_is() {
        let (_folder, dir) = folder();
        let mut listing = Listing::read(&dir, &MemoryLeft { free: 1 << 20, limit: 1 << 20 }).unwrap();
        assert!((20_000..40_000).contains(&listing.bytes()), "{}", listing.bytes());
        let entries: Vec<_> = std::iter::from_fn(|| listing.next()).map(Result::unwrap).collect();
        assert_eq!(entries.len(), 101);
        let folders: Vec<_> =
            entries.iter().filter(|entry| entry.type_ == DescriptorType::Directory).collect();
        assert_eq!(folders.first().map(|entry| entry.name.as_str()), Some("folder"));
        assert_eq!(folders.len(), 1);
    }

    #[test]
    fn a_listing_that_does_not_fit_is_given_up_by_the_name_of_the_limit() {
        let (_folder, dir) = folder();
        match Listing::read(&dir, &MemoryLeft { free: 10_000, limit: 77 }) {
            Err(Refusal::Limit(limit)) => assert_eq!((limit.limit, limit.value), (Limit::MemoryBytes, 77)),
            Err(other) => panic!("{other:?}"),
            Ok(listing) => panic!("{} bytes fit into 10,000", listing.bytes()),
        }
    }
}
