//! The test guests: small components, one behaviour each, whose sources are in `tests/guests/examples`.
//!
//! There is a constant for each, and [`foreach_guest!`](crate::foreach_guest) lists all of them, so that a
//! guest that no test uses does not compile (see `tests/tests/guests/covered.rs`).

use std::path::PathBuf;

use crate::built::built;

/// A test guest, built by `cargo xtask test`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guest {
    /// Name of its source file without `.rs`, and of its component without `.wasm`.
    pub name: &'static str,
    /// Capability of guests that describe themselves by `guests::describe`: `/posemesh/test/NAME/v1`.
    pub capability: &'static str,
}

impl Guest {
    /// Where the built component is: below `POSEMESH_TEST_GUESTS_DIR`, or `target/test-guests`.
    ///
    /// # Panics
    /// When it was not built.
    pub fn path(self) -> PathBuf {
        let path = built("POSEMESH_TEST_GUESTS_DIR", "test-guests").join(format!("{}.wasm", self.name));
        assert!(path.is_file(), "{} does not exist; `cargo xtask test` builds it", path.display());
        path
    }

    /// The bytes of the built component.
    ///
    /// # Panics
    /// When it was not built, or can't be read.
    pub fn bytes(self) -> Vec<u8> {
        std::fs::read(self.path()).unwrap_or_else(|error| panic!("reading {}: {error}", self.name))
    }
}

include!(concat!(env!("OUT_DIR"), "/guests.rs"));
