//! See `holds`, which says what is asserted.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| posemesh_plugin_host_fuzz::frames::holds(input));
