//! `wasi:filesystem` 0.3.

use tokio::sync::oneshot;
use wasmtime::AsContextMut as _;
use wasmtime::component::{Access, Accessor, FutureReader, Resource, StreamReader};
use wasmtime_wasi::filesystem::{
    Descriptor, Dir, File, WasiFilesystem, WasiFilesystemCtxView, WasiFilesystemView as _,
};
use wasmtime_wasi::p3::bindings::filesystem::types::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, Filesize, Host,
    HostDescriptor, HostDescriptorWithStore, MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasmtime_wasi::p3::filesystem::{FilesystemError, FilesystemResult};

use crate::instance::filesystem::meter::{self, Refusal};
use crate::instance::filesystem::p3_consumer::FileConsumer;
use crate::instance::scratch::view::{FilesystemView, HasFilesystem};
use crate::instance::state::RunState;

type Descriptors = Accessor<RunState, HasFilesystem>;
type Result3 = FutureReader<Result<(), ErrorCode>>;

impl From<Refusal> for FilesystemError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Limit(limit) => Self::trap(limit),
            Refusal::TooDeep => ErrorCode::NameTooLong.into(),
            Refusal::System(error) => error.into(),
        }
    }
}

/// The view that wasmtime's own implementation gets.
fn unmetered(state: &mut RunState) -> WasiFilesystemCtxView<'_> {
    state.filesystem()
}

/// The store as wasmtime's own implementation wants it.
fn inner(store: &Descriptors) -> Accessor<RunState, WasiFilesystem> {
    store.with_getter::<WasiFilesystem>(unmetered)
}

fn file(view: &FilesystemView<'_>, fd: &Resource<Descriptor>) -> FilesystemResult<File> {
    match view.wasi.table.get(fd)? {
        Descriptor::File(file) => Ok(file.clone()),
        Descriptor::Dir(_) => Err(ErrorCode::BadDescriptor.into()),
    }
}

fn dir(view: &FilesystemView<'_>, fd: &Resource<Descriptor>) -> FilesystemResult<Dir> {
    match view.wasi.table.get(fd)? {
        Descriptor::Dir(dir) => Ok(dir.clone()),
        Descriptor::File(_) => Err(ErrorCode::NotDirectory.into()),
    }
}

/// Pipes a stream into a file.
fn pipe(
    mut store: Access<'_, RunState, HasFilesystem>,
    fd: &Resource<Descriptor>,
    mut data: StreamReader<u8>,
    at: Option<u64>,
) -> wasmtime::Result<Result3> {
    let (sender, receiver) = oneshot::channel();
    let view = store.get();
    let scratch = view.scratch.clone();
    let opened = file(&view, fd).and_then(|file| match file.perms.write_not_permitted() {
        true => Err(ErrorCode::NotPermitted.into()),
        false => Ok(file),
    });
    match opened {
        Ok(file) => data.pipe(&mut store, FileConsumer::new(&file, at, scratch, sender))?,
        Err(error) => {
            data.close(&mut store)?;
            // The receiver is below.
            let _ = sender.send(Err(error.downcast()?));
        }
    }
    FutureReader::new(&mut store, receiver)
}

impl Host for FilesystemView<'_> {
    fn convert_error_code(&mut self, error: FilesystemError) -> wasmtime::Result<ErrorCode> {
        let code = Host::convert_error_code(&mut self.wasi, error)?;
        match code {
            ErrorCode::InsufficientSpace => self.scratch.trouble().saw_host("the node's disk is full"),
            ErrorCode::InsufficientMemory => self.scratch.trouble().saw_host("the node is out of memory"),
            // wasmtime's word for everything that has no code of its own.
            ErrorCode::Io => self.scratch.probe(),
            _ => {}
        }
        Ok(code)
    }
}

impl HostDescriptor for FilesystemView<'_> {
    fn drop(&mut self, fd: Resource<Descriptor>) -> wasmtime::Result<()> {
        HostDescriptor::drop(&mut self.wasi, fd)
    }
}

impl HostDescriptorWithStore<RunState> for HasFilesystem {
    fn write_via_stream(
        store: Access<'_, RunState, Self>,
        fd: Resource<Descriptor>,
        data: StreamReader<u8>,
        offset: Filesize,
    ) -> wasmtime::Result<Result3> {
        pipe(store, &fd, data, Some(offset))
    }

    fn append_via_stream(
        store: Access<'_, RunState, Self>,
        fd: Resource<Descriptor>,
        data: StreamReader<u8>,
    ) -> wasmtime::Result<Result3> {
        pipe(store, &fd, data, None)
    }

    async fn set_size(store: &Descriptors, fd: Resource<Descriptor>, size: Filesize) -> FilesystemResult<()> {
        let (scratch, file) = store.with(|mut store| {
            let view = store.get();
            FilesystemResult::Ok((view.scratch.clone(), file(&view, &fd)?))
        })?;
        let _growth = meter::resize(&scratch, &file, size)?;
        WasiFilesystem::set_size(&inner(store), fd, size).await
    }

    async fn create_directory_at(
        store: &Descriptors,
        fd: Resource<Descriptor>,
        path: String,
    ) -> FilesystemResult<()> {
        let (scratch, dir) = store.with(|mut store| {
            let view = store.get();
            FilesystemResult::Ok((view.scratch.clone(), dir(&view, &fd)?))
        })?;
        let _growth = meter::folder(&scratch, &dir, &path)?;
        WasiFilesystem::create_directory_at(&inner(store), fd, path).await
    }

    async fn link_at(
        store: &Descriptors,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        old_path: String,
        new_fd: Resource<Descriptor>,
        new_path: String,
    ) -> FilesystemResult<()> {
        let (scratch, dir) = store.with(|mut store| {
            let view = store.get();
            FilesystemResult::Ok((view.scratch.clone(), dir(&view, &new_fd)?))
        })?;
        let _growth = meter::link(&scratch, &dir, 0)?;
        WasiFilesystem::link_at(&inner(store), fd, flags, old_path, new_fd, new_path).await
    }

    async fn symlink_at(
        store: &Descriptors,
        fd: Resource<Descriptor>,
        target: String,
        path: String,
    ) -> FilesystemResult<()> {
        let (scratch, dir) = store.with(|mut store| {
            let view = store.get();
            FilesystemResult::Ok((view.scratch.clone(), dir(&view, &fd)?))
        })?;
        let _growth = meter::link(&scratch, &dir, target.len())?;
        WasiFilesystem::symlink_at(&inner(store), fd, target, path).await
    }

    async fn rename_at(
        store: &Descriptors,
        fd: Resource<Descriptor>,
        old_path: String,
        new_fd: Resource<Descriptor>,
        new_path: String,
    ) -> FilesystemResult<()> {
        let (scratch, old, new) = store.with(|mut store| {
            let view = store.get();
            FilesystemResult::Ok((view.scratch.clone(), dir(&view, &fd)?, dir(&view, &new_fd)?))
        })?;
        let _moving = meter::rename(&scratch, (&old, &old_path), (&new, &new_path))?;
        WasiFilesystem::rename_at(&inner(store), fd, old_path, new_fd, new_path).await
    }

    async fn unlink_file_at(
        store: &Descriptors,
        fd: Resource<Descriptor>,
        path: String,
    ) -> FilesystemResult<()> {
        let scratch = store.with(|mut store| store.get().scratch.clone());
        let _moving = scratch.moving();
        WasiFilesystem::unlink_file_at(&inner(store), fd, path).await
    }

    async fn open_at(
        store: &Descriptors,
        fd: Resource<Descriptor>,
        path_flags: PathFlags,
        path: String,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> FilesystemResult<Resource<Descriptor>> {
        let (scratch, dir) = store.with(|mut store| {
            let view = store.get();
            FilesystemResult::Ok((view.scratch.clone(), dir(&view, &fd)?))
        })?;
        meter::check_opened(&dir, &path)?;
        let _growth = match open_flags.contains(OpenFlags::CREATE) {
            true => meter::create(&scratch, &dir, &path)?,
            false => None,
        };
        let inner = inner(store);
        let opened = WasiFilesystem::open_at(&inner, fd, path_flags, path, open_flags, flags).await?;
        store.with(|mut store| {
            if let Descriptor::File(file) = store.get().wasi.table.get(&opened)? {
                scratch.opened(&file.file);
            }
            FilesystemResult::Ok(())
        })?;
        Ok(opened)
    }

    // What follows adds nothing and is wasmtime's.

    fn read_via_stream(
        mut store: Access<'_, RunState, Self>,
        fd: Resource<Descriptor>,
        offset: Filesize,
    ) -> wasmtime::Result<(StreamReader<u8>, Result3)> {
        let inner = Access::<_, WasiFilesystem>::new(store.as_context_mut(), unmetered);
        WasiFilesystem::read_via_stream(inner, fd, offset)
    }

    async fn advise(
        store: &Descriptors,
        fd: Resource<Descriptor>,
        offset: Filesize,
        length: Filesize,
        advice: Advice,
    ) -> FilesystemResult<()> {
        WasiFilesystem::advise(&inner(store), fd, offset, length, advice).await
    }

    async fn sync_data(store: &Descriptors, fd: Resource<Descriptor>) -> FilesystemResult<()> {
        WasiFilesystem::sync_data(&inner(store), fd).await
    }

    async fn get_flags(store: &Descriptors, fd: Resource<Descriptor>) -> FilesystemResult<DescriptorFlags> {
        WasiFilesystem::get_flags(&inner(store), fd).await
    }

    async fn get_type(store: &Descriptors, fd: Resource<Descriptor>) -> FilesystemResult<DescriptorType> {
        WasiFilesystem::get_type(&inner(store), fd).await
    }

    async fn set_times(
        store: &Descriptors,
        fd: Resource<Descriptor>,
        access: NewTimestamp,
        modification: NewTimestamp,
    ) -> FilesystemResult<()> {
        WasiFilesystem::set_times(&inner(store), fd, access, modification).await
    }

    fn read_directory(
        mut store: Access<'_, RunState, Self>,
        fd: Resource<Descriptor>,
    ) -> wasmtime::Result<(StreamReader<DirectoryEntry>, Result3)> {
        let inner = Access::<_, WasiFilesystem>::new(store.as_context_mut(), unmetered);
        WasiFilesystem::read_directory(inner, fd)
    }

    async fn sync(store: &Descriptors, fd: Resource<Descriptor>) -> FilesystemResult<()> {
        WasiFilesystem::sync(&inner(store), fd).await
    }

    async fn stat(store: &Descriptors, fd: Resource<Descriptor>) -> FilesystemResult<DescriptorStat> {
        WasiFilesystem::stat(&inner(store), fd).await
    }

    async fn stat_at(
        store: &Descriptors,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FilesystemResult<DescriptorStat> {
        WasiFilesystem::stat_at(&inner(store), fd, flags, path).await
    }

    async fn set_times_at(
        store: &Descriptors,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
        access: NewTimestamp,
        modification: NewTimestamp,
    ) -> FilesystemResult<()> {
        let inner = inner(store);
        // As in `p2`: by what is open, which a link itself can't be.
        let same = Resource::new_borrow(fd.rep());
        let named = WasiFilesystem::stat_at(&inner, same, flags, path.clone()).await?;
        if matches!(named.type_, DescriptorType::SymbolicLink) {
            return Err(ErrorCode::Unsupported.into());
        }
        let flags = PathFlags::SYMLINK_FOLLOW;
        WasiFilesystem::set_times_at(&inner, fd, flags, path, access, modification).await
    }

    async fn readlink_at(
        store: &Descriptors,
        fd: Resource<Descriptor>,
        path: String,
    ) -> FilesystemResult<String> {
        WasiFilesystem::readlink_at(&inner(store), fd, path).await
    }

    async fn remove_directory_at(
        store: &Descriptors,
        fd: Resource<Descriptor>,
        path: String,
    ) -> FilesystemResult<()> {
        WasiFilesystem::remove_directory_at(&inner(store), fd, path).await
    }

    async fn is_same_object(
        store: &Descriptors,
        one: Resource<Descriptor>,
        other: Resource<Descriptor>,
    ) -> wasmtime::Result<bool> {
        WasiFilesystem::is_same_object(&inner(store), one, other).await
    }

    async fn metadata_hash(
        store: &Descriptors,
        fd: Resource<Descriptor>,
    ) -> FilesystemResult<MetadataHashValue> {
        WasiFilesystem::metadata_hash(&inner(store), fd).await
    }

    async fn metadata_hash_at(
        store: &Descriptors,
        fd: Resource<Descriptor>,
        flags: PathFlags,
        path: String,
    ) -> FilesystemResult<MetadataHashValue> {
        WasiFilesystem::metadata_hash_at(&inner(store), fd, flags, path).await
    }
}
