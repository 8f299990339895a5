//! Compiled code: one of the three places where the project says `unsafe`.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create};
use wasmtime::Engine;
use wasmtime::component::Component;

/// No compiled component is larger; the compiler may not write more.
pub(crate) const MAX_COMPILED_BYTES: u64 = 1 << 30;

/// What nobody may do any more to the code of a sandbox process.
const SEALS: SealFlags =
    SealFlags::WRITE.union(SealFlags::GROW).union(SealFlags::SHRINK).union(SealFlags::SEAL);

/// Machine code that this node has compiled, as wasmtime serialises it.
///
/// **Invariant:** the bytes come from a compiler process of this node, directly or by way of the cache
/// that only this node can write to. There is no way to make one of a runner's own bytes.
pub(crate) struct CompiledComponent(Vec<u8>);

impl CompiledComponent {
    /// Takes over what a compiler of this node wrote. Whoever calls this vouches for the invariant.
    pub(crate) fn from_our_compiler(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Puts the code into a memory file that nobody can change any more, to be handed to sandbox processes.
    ///
    /// # Errors
    /// When there is no memory or descriptor for it.
    pub(crate) fn seal(&self) -> io::Result<OwnedFd> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let file = File::from(memfd_create("posemesh-code", flags)?);
        (&file).write_all(&self.0)?;
        fcntl_add_seals(&file, SEALS)?;
        Ok(file.into())
    }

    /// Maps code that was sealed by [`CompiledComponent::seal`] into this process, which shares it with all others that do.
    ///
    /// # Errors
    /// When the file can be changed, or the code was compiled by another wasmtime or for another machine.
    #[allow(unsafe_code, reason = "wasmtime can't tell foreign machine code from its own; see below")]
    pub(crate) fn map(file: &OwnedFd, engine: &Engine) -> wasmtime::Result<Component> {
        if !fcntl_get_seals(file)?.contains(SEALS) {
            return Err(wasmtime::Error::msg("the file of the code is not sealed"));
        }
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        // SAFETY: as below; the bytes are those of a `CompiledComponent`, handed over by the node that made them, and
        // the seals say that nobody can have changed them since or will.
        unsafe { Component::deserialize_file(engine, path) }
    }

    /// Maps the code into this process.
    ///
    /// # Errors
    /// When it was compiled by another wasmtime, for another machine or with other settings.
    #[allow(unsafe_code, reason = "wasmtime can't tell foreign machine code from its own; see below")]
    pub(crate) fn into_component(self, engine: &Engine) -> wasmtime::Result<Component> {
        // SAFETY: wasmtime asks that the bytes were made by `precompile_component` and not changed since.
        // By this type's invariant they were made by our compiler: they either came straight from the
        // compiler process, through a pipe that only this process reads (or were made in this process,
        // where the settings say so), or they were read from the cache, whose directory belongs to this
        // user alone with mode 0700 on a way that nobody else can change (checked when it is opened), and
        // whose every file carries a tag that was made with a key of that directory and compared with these
        // very bytes in memory. What another version of wasmtime or other settings made, wasmtime refuses
        // itself.
        unsafe { Component::deserialize(engine, &self.0) }
    }
}
