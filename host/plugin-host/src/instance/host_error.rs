//! Tells the node's own trouble from what a guest does: errors of the operating system reach a guest as values of
//! WASI, so that one that ends a run was met by the host on its own behalf.

use std::io;

use wasmtime::error::OutOfMemory;

/// The error of this machine behind an error of the engine, if one is: no memory, no address space, no thread, no
/// descriptor.
pub(crate) fn host_error(error: &wasmtime::Error) -> Option<String> {
    let of_the_system = |cause: &&(dyn std::error::Error + 'static)| {
        cause.is::<io::Error>() || cause.is::<rustix::io::Errno>() || cause.is::<OutOfMemory>()
    };
    error.chain().find(of_the_system).map(ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_system_are_the_hosts_and_traps_are_not() {
        let no_memory = || io::Error::from_raw_os_error(12);
        for error in [
            wasmtime::Error::from(no_memory()).context("reserving a memory"),
            wasmtime::Error::from(rustix::io::Errno::NOMEM),
        ] {
            let cause = host_error(&error).unwrap_or_default();
            assert!(cause.contains("os error 12"), "{error:?}: {cause}");
        }
        for error in
            [wasmtime::Error::from(wasmtime::Trap::MemoryOutOfBounds), wasmtime::Error::msg("unknown handle")]
        {
            assert_eq!(host_error(&error), None);
        }
    }
}
