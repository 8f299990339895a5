//! The functions that move most of the bytes, in place of the generated ones: those put every list into a vector of its
//! own on its way, which costs as much as the one copy that is needed.

use bytes::Bytes;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, LinkerInstance, Resource, WasmList};

use crate::contract::{PACKAGE, VERSION};
use crate::instance::bindings::posemesh::runner::types::{Error, Host};
use crate::instance::port_failure::PortFailure;
use crate::instance::resources::{ArtifactHandle, PartHandle};
use crate::instance::state::RunState;

/// What a function of the contract returns.
type Told<T> = (Result<T, Error>,);

/// Puts the functions in the place of those that a linker has.
pub(super) fn add_to_linker(linker: &mut Linker<RunState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    inputs(&mut linker.instance(&format!("{PACKAGE}/inputs@{VERSION}"))?)?;
    outputs(&mut linker.instance(&format!("{PACKAGE}/outputs@{VERSION}"))?)?;
    linker.allow_shadowing(false);
    Ok(())
}

fn inputs(inputs: &mut LinkerInstance<'_, RunState>) -> wasmtime::Result<()> {
    inputs.func_wrap_async(
        "[method]part.read",
        |mut store: StoreContextMut<'_, RunState>, (part, max_bytes): (Resource<PartHandle>, u32)| {
            Box::new(async move {
                let mut view = store.data_mut().inputs();
                let read = view.read(&part, max_bytes).await;
                told::<Bytes>(&mut view, read)
            })
        },
    )?;
    inputs.func_wrap_async(
        "[method]part.read-at",
        |mut store: StoreContextMut<'_, RunState>,
         (part, offset, max_bytes): (Resource<PartHandle>, u64, u32)| {
            Box::new(async move {
                let mut view = store.data_mut().inputs();
                let read = view.read_at(&part, offset, max_bytes).await;
                told::<Bytes>(&mut view, read)
            })
        },
    )
}

fn outputs(outputs: &mut LinkerInstance<'_, RunState>) -> wasmtime::Result<()> {
    outputs.func_wrap_async(
        "[method]artifact.write",
        |mut store: StoreContextMut<'_, RunState>,
         (artifact, bytes): (Resource<ArtifactHandle>, WasmList<u8>)| {
            Box::new(async move {
                let written = write(&mut store, &artifact, &bytes).await;
                told(&mut store.data_mut().outputs(), written)
            })
        },
    )
}

/// Appends bytes from where they lie in the guest's memory. Meanwhile the guest does not run.
async fn write(
    store: &mut StoreContextMut<'_, RunState>,
    artifact: &Resource<ArtifactHandle>,
    bytes: &WasmList<u8>,
) -> Result<(), PortFailure> {
    let outputs = store.data_mut().outputs();
    let budget = outputs.context.budget_mut();
    let mut writer = outputs.table.get_mut(artifact)?.0.begin_write(bytes.len(), budget)?;
    writer.write_slice(bytes.as_le_slice(&*store)).await?;
    store.data_mut().outputs().table.get_mut(artifact)?.0.wrote(writer);
    Ok(())
}

/// The result as the guest gets it, unless it is a trap.
fn told<T>(view: &mut impl Host, result: Result<T, PortFailure>) -> wasmtime::Result<Told<T>> {
    Ok((match result {
        Ok(value) => Ok(value),
        Err(failure) => Err(view.convert_error(failure)?),
    },))
}
