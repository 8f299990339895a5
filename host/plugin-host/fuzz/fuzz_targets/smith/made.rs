//! What an input stands for. Its first byte says whether the rest makes a runner around a core module, the same and
//! damaged, or a component of whatever kind.

use arbitrary::Unstructured;
use wasm_smith::{Component, Config, MemoryOffsetChoices, Module};

use crate::wrapped;

/// How many bytes of a component are damaged at most.
const MOST_DAMAGE: usize = 8;

/// The component; none if the input is too short to make one.
pub(crate) fn component(input: &[u8]) -> Option<Vec<u8>> {
    let (kind, rest) = input.split_first()?;
    let mut source = Unstructured::new(rest);
    match kind % 4 {
        0 | 1 => wrapped::around(&module(&mut source)?),
        2 => {
            let mut bytes = wrapped::around(&module(&mut source)?)?;
            damage(&mut bytes, &mut source);
            Some(bytes)
        }
        _ => Component::new(config(), &mut source).ok().map(|component| component.to_bytes()),
    }
}

fn module(source: &mut Unstructured<'_>) -> Option<Vec<u8>> {
    Module::new(config(), source).ok().map(|module| module.to_bytes())
}

/// Modules that need nothing, and mostly what the engine runs: the point is to get far.
fn config() -> Config {
    Config {
        max_imports: 0,
        export_everything: true,
        exceptions_enabled: false,
        gc_enabled: false,
        memory64_enabled: false,
        // They bring `externref`, which counts as garbage collection.
        reference_types_enabled: false,
        threads_enabled: false,
        max_memories: 3,
        memory_offset_choices: MemoryOffsetChoices(90, 9, 1),
        ..Config::default()
    }
}

fn damage(bytes: &mut [u8], source: &mut Unstructured<'_>) {
    for _ in 0..source.int_in_range(1..=MOST_DAMAGE).unwrap_or(1) {
        let last = bytes.len().saturating_sub(1);
        let (Ok(at), Ok(byte)) = (source.int_in_range(0..=last), source.arbitrary::<u8>()) else { return };
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
    }
}
