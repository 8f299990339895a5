//! Compiled code, and the one place where the project says `unsafe`.

use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

/// No compiled component is larger; the compiler may not write more.
pub(crate) const MAX_COMPILED_BYTES: u64 = 1 << 30;

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

    /// SHA-256 of the bytes.
    pub(crate) fn checksum(&self) -> [u8; 32] {
        Sha256::digest(&self.0).into()
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
        // user alone with mode 0700 (checked when it is opened) and whose every file carries a checksum
        // that was compared with these very bytes in memory. What another version of wasmtime or other
        // settings made, wasmtime refuses itself.
        unsafe { Component::deserialize(engine, &self.0) }
    }
}
