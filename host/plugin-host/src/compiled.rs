//! Compiled code, and the one place where the project says `unsafe`.

use sha2::{Digest as _, Sha256};
use wasmtime::Engine;
use wasmtime::component::Component;

/// Machine code that this node has compiled, as wasmtime serialises it.
///
/// **Invariant:** the bytes come from a compiler process of this node, directly or by way of the cache
/// that only this node can write to. There is no way to make one of a runner's own bytes.
pub struct Compiled(Vec<u8>);

impl Compiled {
    /// Takes over what a compiler of this node wrote. Whoever calls this vouches for the invariant.
    pub(super) fn from_our_compiler(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// SHA-256 of the bytes.
    pub fn checksum(&self) -> [u8; 32] {
        Sha256::digest(&self.0).into()
    }

    /// Maps the code into this process.
    ///
    /// # Errors
    /// When it was compiled by another wasmtime, for another machine or with other settings.
    #[allow(unsafe_code, reason = "wasmtime can't tell foreign machine code from its own; see below")]
    pub fn into_component(self, engine: &Engine) -> wasmtime::Result<Component> {
        // SAFETY: wasmtime asks that the bytes were made by `precompile_component` and not changed since.
        // By this type's invariant they were made by our compiler process: its result either came
        // straight from there, in a directory of mode 0700 that it was told to write to, or was read from
        // the cache, whose directory belongs to this user alone with mode 0700 (checked when it is
        // opened) and whose every file carries a checksum that was compared with these very bytes in
        // memory. What another version of wasmtime or other settings made, wasmtime refuses itself.
        unsafe { Component::deserialize(engine, &self.0) }
    }
}
