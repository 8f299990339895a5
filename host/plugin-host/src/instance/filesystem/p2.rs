//! `wasi:filesystem` 0.2.

use wasmtime::component::Resource;
use wasmtime_wasi::filesystem::{Descriptor, Dir, File};
use wasmtime_wasi::p2::bindings::filesystem::types::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, DirectoryEntryStream, ErrorCode,
    Filesize, Host, HostDescriptor, HostDirectoryEntryStream, MetadataHashValue, NewTimestamp, OpenFlags,
    PathFlags,
};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, FsError, FsResult};

use crate::instance::filesystem::listing::Listing;
use crate::instance::filesystem::meter::{self, Refusal};
use crate::instance::filesystem::p2_input::FileInput;
use crate::instance::filesystem::p2_output::FileOutput;
use crate::instance::scratch::view::FilesystemView;

impl From<Refusal> for FsError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Limit(limit) => Self::trap(limit),
            Refusal::TooDeep => ErrorCode::NameTooLong.into(),
            Refusal::System(error) => error.into(),
        }
    }
}

impl FilesystemView<'_> {
    fn file(&self, fd: &Resource<Descriptor>) -> FsResult<&File> {
        match self.wasi.table.get(fd)? {
            Descriptor::File(file) => Ok(file),
            Descriptor::Dir(_) => Err(ErrorCode::BadDescriptor.into()),
        }
    }

    fn dir(&self, fd: &Resource<Descriptor>) -> FsResult<&Dir> {
        match self.wasi.table.get(fd)? {
            Descriptor::Dir(dir) => Ok(dir),
            Descriptor::File(_) => Err(ErrorCode::NotDirectory.into()),
        }
    }

    fn output(&mut self, fd: &Resource<Descriptor>, at: Option<u64>) -> FsResult<Resource<DynOutputStream>> {
        let file = self.file(fd)?;
        if file.perms.write_not_permitted() {
            return Err(ErrorCode::NotPermitted.into());
        }
        let stream: DynOutputStream = Box::new(FileOutput::new(file, at, self.scratch.clone()));
        Ok(self.wasi.table.push(stream)?)
    }

    /// Notes an error that the guest gets, if it may be this machine's.
    fn note(&self, code: ErrorCode) {
        match code {
            ErrorCode::InsufficientSpace => self.scratch.trouble().saw_host("the node's disk is full"),
            ErrorCode::InsufficientMemory => self.scratch.trouble().saw_host("the node is out of memory"),
            // wasmtime's word for everything that has no code of its own.
            ErrorCode::Io => self.scratch.probe(),
            _ => {}
        }
    }
}

impl Host for FilesystemView<'_> {
    fn convert_error_code(&mut self, error: FsError) -> wasmtime::Result<ErrorCode> {
        let code = self.wasi.convert_error_code(error)?;
        self.note(code);
        Ok(code)
    }

    fn filesystem_error_code(
        &mut self,
        error: Resource<wasmtime::Error>,
    ) -> wasmtime::Result<Option<ErrorCode>> {
        let code = self.wasi.filesystem_error_code(error)?;
        code.into_iter().for_each(|code| self.note(code));
        Ok(code)
    }
}

impl HostDescriptor for FilesystemView<'_> {
    async fn write(
        &mut self,
        fd: Resource<Descriptor>,
        bytes: Vec<u8>,
        offset: Filesize,
    ) -> FsResult<Filesize> {
        let file = self.file(&fd)?;
        if file.perms.write_not_permitted() {
            return Err(ErrorCode::NotPermitted.into());
        }
        Ok(meter::write(&self.scratch, &file.file, Some(offset), &bytes)?)
    }

    fn write_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: Filesize,
    ) -> FsResult<Resource<DynOutputStream>> {
        self.output(&fd, Some(offset))
    }

    fn append_via_stream(&mut self, fd: Resource<Descriptor>) -> FsResult<Resource<DynOutputStream>> {
        self.output(&fd, None)
    }

    async fn set_size(&mut self, fd: Resource<Descriptor>, size: Filesize) -> FsResult<()> {
        let _growth = meter::resize(&self.scratch, self.file(&fd)?, size)?;
        self.wasi.set_size(fd, size).await
    }

    async fn create_directory_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        let _growth = meter::folder(&self.scratch, self.dir(&fd)?, &path)?;
        self.wasi.create_directory_at(fd, path).await
    }

    async fn link_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        old_path: String,
        new_fd: Resource<Descriptor>,
        new_path: String,
    ) -> FsResult<()> {
        let _growth = meter::link(&self.scratch, self.dir(&new_fd)?, 0)?;
        self.wasi.link_at(fd, flags, old_path, new_fd, new_path).await
    }

    async fn symlink_at(&mut self, fd: Resource<Descriptor>, target: String, path: String) -> FsResult<()> {
        let _growth = meter::link(&self.scratch, self.dir(&fd)?, target.len())?;
        self.wasi.symlink_at(fd, target, path).await
    }

    async fn rename_at(
        &mut self,
        fd: Resource<Descriptor>,
        old_path: String,
        new_fd: Resource<Descriptor>,
        new_path: String,
    ) -> FsResult<()> {
        let (old, new) = ((self.dir(&fd)?, &*old_path), (self.dir(&new_fd)?, &*new_path));
        let _moving = meter::rename(&self.scratch, old, new)?;
        self.wasi.rename_at(fd, old_path, new_fd, new_path).await
    }

    async fn unlink_file_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        let _moving = self.scratch.moving();
        self.wasi.unlink_file_at(fd, path).await
    }

    async fn open_at(
        &mut self,
        fd: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> FsResult<Resource<Descriptor>> {
        meter::check_opened(self.dir(&fd)?, &path)?;
        let _growth = match open_flags.contains(OpenFlags::CREATE) {
            true => meter::create(&self.scratch, self.dir(&fd)?, &path)?,
            false => None,
        };
        let opened = self.wasi.open_at(fd, path_flags, path, open_flags, flags).await?;
        if let Descriptor::File(file) = self.wasi.table.get(&opened)? {
            self.scratch.opened(&file.file);
        }
        Ok(opened)
    }

    fn read_via_stream(
        &mut self,
        fd: Resource<Descriptor>,
        offset: Filesize,
    ) -> FsResult<Resource<DynInputStream>> {
        let file = match self.wasi.table.get(&fd)? {
            Descriptor::File(file) => file,
            Descriptor::Dir(_) => return Err(ErrorCode::IsDirectory.into()),
        };
        let stream: DynInputStream = Box::new(FileInput::new(file, offset));
        Ok(self.wasi.table.push(stream)?)
    }

    async fn read_directory(&mut self, fd: Resource<Descriptor>) -> FsResult<Resource<DirectoryEntryStream>> {
        let listing = Listing::read(&meter::contained(self.dir(&fd)?)?, &self.memory_left)?;
        let listing = self.wasi.table.push(listing)?;
        // The bindings know wasmtime's type; what it stands for is known here alone.
        Ok(Resource::new_own(listing.rep()))
    }

    // What follows adds nothing and is wasmtime's.

    async fn advise(
        &mut self,
        fd: Resource<Descriptor>,
        offset: Filesize,
        length: Filesize,
        advice: Advice,
    ) -> FsResult<()> {
        self.wasi.advise(fd, offset, length, advice).await
    }

    async fn sync_data(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        self.wasi.sync_data(fd).await
    }

    async fn get_flags(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorFlags> {
        self.wasi.get_flags(fd).await
    }

    async fn get_type(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorType> {
        self.wasi.get_type(fd).await
    }

    async fn set_times(
        &mut self,
        fd: Resource<Descriptor>,
        access: NewTimestamp,
        modification: NewTimestamp,
    ) -> FsResult<()> {
        self.wasi.set_times(fd, access, modification).await
    }

    async fn read(
        &mut self,
        fd: Resource<Descriptor>,
        length: Filesize,
        offset: Filesize,
    ) -> FsResult<(Vec<u8>, bool)> {
        self.wasi.read(fd, length, offset).await
    }

    async fn sync(&mut self, fd: Resource<Descriptor>) -> FsResult<()> {
        self.wasi.sync(fd).await
    }

    async fn stat(&mut self, fd: Resource<Descriptor>) -> FsResult<DescriptorStat> {
        self.wasi.stat(fd).await
    }

    async fn stat_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FsResult<DescriptorStat> {
        self.wasi.stat_at(fd, flags, path).await
    }

    async fn set_times_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
        access: NewTimestamp,
        modification: NewTimestamp,
    ) -> FsResult<()> {
        // A sandbox process may change the times of what is open, and of nothing else (`sandbox::syscalls`). wasmtime opens
        // what a path leads to, but changes what the path names by the path.
        let named = self.wasi.stat_at(Resource::new_borrow(fd.rep()), flags, path.clone()).await?;
        if named.type_ == DescriptorType::SymbolicLink {
            return Err(ErrorCode::Unsupported.into());
        }
        self.wasi.set_times_at(fd, PathFlags::SYMLINK_FOLLOW, path, access, modification).await
    }

    async fn readlink_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<String> {
        self.wasi.readlink_at(fd, path).await
    }

    async fn remove_directory_at(&mut self, fd: Resource<Descriptor>, path: String) -> FsResult<()> {
        self.wasi.remove_directory_at(fd, path).await
    }

    async fn is_same_object(
        &mut self,
        one: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        self.wasi.is_same_object(one, other).await
    }

    async fn metadata_hash(&mut self, fd: Resource<Descriptor>) -> FsResult<MetadataHashValue> {
        self.wasi.metadata_hash(fd).await
    }

    async fn metadata_hash_at(
        &mut self,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FsResult<MetadataHashValue> {
        self.wasi.metadata_hash_at(fd, flags, path).await
    }

    fn drop(&mut self, fd: Resource<Descriptor>) -> wasmtime::Result<()> {
        HostDescriptor::drop(&mut self.wasi, fd)
    }
}

impl HostDirectoryEntryStream for FilesystemView<'_> {
    async fn read_directory_entry(
        &mut self,
        stream: Resource<DirectoryEntryStream>,
    ) -> FsResult<Option<DirectoryEntry>> {
        let listing = Resource::<Listing>::new_borrow(stream.rep());
        Ok(self.wasi.table.get_mut(&listing)?.next().transpose()?)
    }

    fn drop(&mut self, stream: Resource<DirectoryEntryStream>) -> wasmtime::Result<()> {
        self.wasi.table.delete(Resource::<Listing>::new_own(stream.rep()))?;
        Ok(())
    }
}
