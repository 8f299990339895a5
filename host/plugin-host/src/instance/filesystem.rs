//! The file systems of WASI 0.2 and 0.3, metered: what a guest writes and creates is counted before it is there.
//!
//! Everything is wasmtime's own implementation; around what adds bytes or files (`p2`, `p3`), `meter` asks the task's
//! budget first. What is listed and read holds no more than it must (`listing`, `p2_input`). Errors pass through here as well, so that those of this machine are noted.
//!
//! **Invariant:** files are written on the guest's own thread, before the call returns. A look at the folder on that
//! thread therefore sees all that was written.

pub(crate) mod listing;
mod meter;
mod p2;
mod p2_input;
mod p2_output;
mod p3;
mod p3_consumer;
mod preopens;

use wasmtime::component::Linker;
use wasmtime_wasi::{p2 as wasi_p2, p3 as wasi_p3};

use crate::instance::scratch::view::HasFilesystem;
use crate::instance::state::RunState;

/// Puts the metered file systems into a linker that has those of wasmtime.
pub(crate) fn add_to_linker(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let metered = RunState::metered_filesystem;
    wasi_p2::bindings::filesystem::types::add_to_linker::<_, HasFilesystem>(linker, metered)?;
    wasi_p2::bindings::filesystem::preopens::add_to_linker::<_, HasFilesystem>(linker, metered)?;
    wasi_p3::bindings::filesystem::types::add_to_linker::<_, HasFilesystem>(linker, metered)?;
    wasi_p3::bindings::filesystem::preopens::add_to_linker::<_, HasFilesystem>(linker, metered)?;
    linker.allow_shadowing(false);
    Ok(())
}
