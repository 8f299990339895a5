//! What loading a runner may cost.

use super::groups::PathsConfig;
use super::reader::Reader;
use posemesh_plugin_host::compiler::CompilerSettings;
use posemesh_plugin_host::component::LoaderSettings;
use posemesh_plugin_host::limits::{Limits, Unit};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// `RUNNER_MAX_*`, `MAX_COMPONENT_BYTES`, `COMPILE_*`, and `CACHE_DIR` from the paths.
pub(super) fn read(reader: &mut Reader<'_>, paths: Option<&PathsConfig>) -> LoaderSettings {
    let usual = LoaderSettings::default();
    let compiler = CompilerSettings::default();
    let maximum = Limits::node_maximum().map(|field, usual| match field.unit {
        Unit::Bytes => reader.bytes(field.variable, usual, 0..=u64::from(u32::MAX) << 16),
        Unit::Number => reader.integer(field.variable, usual, 0..=u64::from(u32::MAX)),
    });
    LoaderSettings {
        maximum,
        component_bytes: reader.bytes("MAX_COMPONENT_BYTES", usual.component_bytes, MIB..=GIB),
        compiler: CompilerSettings {
            timeout: reader.seconds("COMPILE_TIMEOUT_SECS", compiler.timeout.as_secs(), 1..=3600),
            memory_bytes: reader.bytes("COMPILE_MEMORY_BYTES", compiler.memory_bytes, 256 * MIB..=64 * GIB),
            parallelism: reader.integer("COMPILE_PARALLELISM", compiler.parallelism, 1..=64),
            ..compiler
        },
        cache: paths.map(|paths| paths.cache.clone()),
    }
}
