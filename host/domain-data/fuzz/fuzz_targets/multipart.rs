//! See `holds`, which says what is asserted.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| posemesh_domain_data_fuzz::multipart::holds(input));
