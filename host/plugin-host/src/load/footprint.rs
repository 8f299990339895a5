//! What one instance of a component costs the host before its first instruction: the engine keeps a record for each
//! instance, global, function reference and passive element, and none of that is linear memory. A component of a few
//! kilobytes can make sixty instances of a million globals.
//!
//! Read from the component's own bytes, from the inside out, without building anything: a component is at most as deep as
//! the validator lets it be, and each nested one is priced once, however often it is instantiated.

mod module;

use wasmparser::{
    BinaryReaderError, CanonicalFunction, CanonicalOption, ComponentAlias, ComponentExternalKind,
    ComponentInstance, ComponentOuterAliasKind, Encoding, Instance, Parser, Payload,
};

use crate::code::footprint::Footprint;
use crate::load::footprint::module::ModulePrice;

/// The record of one component instance, with its tables of handles.
const COMPONENT_INSTANCE: u64 = 1 << 10;
/// A function that is lifted or lowered, or a built-in of the component model: references and options.
const CANONICAL: u64 = 128;

/// A module or component that can be instantiated.
#[derive(Debug, Clone, Copy)]
struct Price {
    /// What is certain.
    known: Footprint,
    /// Instances of modules and components that are handed in from outside.
    unknown: u64,
}

/// One that is handed in itself.
const HANDED_IN: Price = Price { known: Footprint::NONE, unknown: 1 };

impl Default for Price {
    fn default() -> Self {
        Self { known: Footprint::NONE, unknown: 0 }
    }
}

impl Price {
    fn add(&mut self, other: Self) {
        self.known = self.known.plus(other.known);
        self.unknown = self.unknown.saturating_add(other.unknown);
    }

    fn add_host(&mut self, bytes: u64) {
        self.known.host_bytes = self.known.host_bytes.saturating_add(bytes);
    }
}

/// A component that is being read.
#[derive(Default)]
struct Frame {
    /// By their indices.
    modules: Vec<Price>,
    components: Vec<Price>,
    sum: Price,
}

/// What one instance of this component costs.
///
/// # Errors
/// When the bytes are no valid component; one that was compiled is.
pub(crate) fn footprint(component: &[u8]) -> Result<Footprint, BinaryReaderError> {
    let mut reader = Reader { frames: Vec::new(), module: None, total: None, largest: Footprint::NONE };
    for payload in Parser::new(0).parse_all(component) {
        reader.payload(payload?)?;
    }
    let total = reader.total.unwrap_or_default();
    // What is handed in is one of those that the file has; which one does not matter for a bound.
    Ok(total.known.plus(reader.largest.times(total.unknown)))
}

/// What has been read so far.
struct Reader {
    frames: Vec<Frame>,
    module: Option<ModulePrice>,
    /// The outermost component, once it has been read.
    total: Option<Price>,
    /// More than any module or nested component of the file costs.
    largest: Footprint,
}

impl Reader {
    fn payload(&mut self, payload: Payload<'_>) -> Result<(), BinaryReaderError> {
        if let Some(module) = &mut self.module {
            if !matches!(payload, Payload::End(_)) {
                return module.section(payload);
            }
            let price = module.price();
            self.module = None;
            self.largest = self.largest.larger(price);
            if let Some(frame) = self.frames.last_mut() {
                frame.modules.push(Price { known: price, unknown: 0 });
            }
            return Ok(());
        }
        match payload {
            Payload::Version { encoding: Encoding::Module, .. } => self.module = Some(ModulePrice::default()),
            Payload::Version { encoding: Encoding::Component, .. } => {
                let mut frame = Frame::default();
                frame.sum.add_host(COMPONENT_INSTANCE);
                self.frames.push(frame);
            }
            Payload::End(_) => self.component_ends(),
            other => {
                let (outer, frame) = match self.frames.split_last_mut() {
                    Some((frame, outer)) => (outer, frame),
                    None => return Ok(()),
                };
                frame.section(other, outer)?;
            }
        }
        Ok(())
    }

    fn component_ends(&mut self) {
        let Some(Frame { sum, .. }) = self.frames.pop() else { return };
        match self.frames.last_mut() {
            Some(outer) => {
                self.largest = self.largest.larger(sum.known);
                outer.components.push(sum);
            }
            None => self.total = Some(sum),
        }
    }
}

impl Frame {
    fn section(&mut self, payload: Payload<'_>, outer: &[Self]) -> Result<(), BinaryReaderError> {
        match payload {
            Payload::InstanceSection(instances) => {
                for instance in instances {
                    if let Instance::Instantiate { module_index, .. } = instance? {
                        self.sum.add(at(&self.modules, module_index));
                    }
                }
            }
            Payload::ComponentInstanceSection(instances) => {
                for instance in instances {
                    if let ComponentInstance::Instantiate { component_index, .. } = instance? {
                        self.sum.add(at(&self.components, component_index));
                    }
                }
            }
            Payload::ComponentAliasSection(aliases) => {
                for alias in aliases {
                    self.alias(&alias?, outer);
                }
            }
            Payload::ComponentImportSection(imports) => {
                for import in imports {
                    self.handed_in(import?.ty.kind());
                }
            }
            Payload::ComponentExportSection(exports) => {
                for export in exports {
                    let export = export?;
                    // An export gives the same thing a further index.
                    match export.kind {
                        ComponentExternalKind::Module => self.modules.push(at(&self.modules, export.index)),
                        ComponentExternalKind::Component => {
                            self.components.push(at(&self.components, export.index));
                        }
                        _ => {}
                    }
                }
            }
            Payload::ComponentCanonicalSection(functions) => {
                self.sum.add_host(CANONICAL * u64::from(functions.count()));
                for function in functions {
                    self.sum.known.poolable &= !waits(&function?);
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn alias(&mut self, alias: &ComponentAlias<'_>, outer: &[Self]) {
        match *alias {
            ComponentAlias::InstanceExport { kind, .. } => self.handed_in(kind),
            ComponentAlias::CoreInstanceExport { .. } => {}
            ComponentAlias::Outer { kind, count, index } => {
                // Counted outwards; this component is 0.
                let frame = match (count as usize).checked_sub(1) {
                    None => Some(&*self),
                    Some(above) => outer.iter().rev().nth(above),
                };
                let price =
                    |prices: fn(&Self) -> &[Price]| frame.map_or(HANDED_IN, |frame| at(prices(frame), index));
                match kind {
                    ComponentOuterAliasKind::CoreModule => {
                        let price = price(|frame| &frame.modules);
                        self.modules.push(price);
                    }
                    ComponentOuterAliasKind::Component => {
                        let price = price(|frame| &frame.components);
                        self.components.push(price);
                    }
                    ComponentOuterAliasKind::CoreType | ComponentOuterAliasKind::Type => {}
                }
            }
        }
    }

    /// Something whose definition is elsewhere.
    fn handed_in(&mut self, kind: ComponentExternalKind) {
        match kind {
            ComponentExternalKind::Module => self.modules.push(HANDED_IN),
            ComponentExternalKind::Component => self.components.push(HANDED_IN),
            _ => {}
        }
    }
}

/// Whether calls of this function may go on beside each other, each on a stack of its own.
fn waits(function: &CanonicalFunction) -> bool {
    match function {
        CanonicalFunction::Lift { options, .. } | CanonicalFunction::Lower { options, .. } => options
            .iter()
            .any(|option| matches!(option, CanonicalOption::Async | CanonicalOption::Callback(_))),
        CanonicalFunction::ResourceNew { .. }
        | CanonicalFunction::ResourceDrop { .. }
        | CanonicalFunction::ResourceRep { .. } => false,
        // Tasks, threads, streams and futures.
        _ => true,
    }
}

fn at(prices: &[Price], index: u32) -> Price {
    prices.get(index as usize).copied().unwrap_or(HANDED_IN)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
