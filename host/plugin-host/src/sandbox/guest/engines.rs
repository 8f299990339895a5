//! The code of a sandbox process, loaded for instances that take kept places and for those that do not.
//!
//! As many calls at once as there are places get one. The others are given their memory one by one, so that how many calls a
//! process has at once is bounded by nothing here.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use posemesh_text::one_line;
use tokio::sync::Semaphore;
use wasmtime::component::Component;

use crate::code::compiled::CompiledComponent;
use crate::code::engine::RunnerEngine;
use crate::code::link::link_component;
use crate::code::places::{PLACES, Places};
use crate::instance::guest_threads::GuestThreads;
use crate::instance::linked::LinkedRunner;
use crate::sandbox::wire::NotReady;

/// The longest cause that is told, in bytes.
const MAX_CAUSE: usize = 400;

/// Code that is mapped, and not linked yet.
pub(super) struct LoadedCode {
    on_demand: (Arc<RunnerEngine>, Component),
    pooled: Option<(Arc<RunnerEngine>, Component)>,
}

/// What calls are made with.
pub(super) struct Engines {
    on_demand: Linked,
    pooled: Option<(Linked, Arc<Semaphore>)>,
}

struct Linked {
    engine: Arc<RunnerEngine>,
    pre: LinkedRunner,
}

impl LoadedCode {
    /// Maps code. `poolable` says that its instances could have places; whether there is room for those is seen here.
    ///
    /// # Errors
    /// When it was compiled by another wasmtime or for another machine, or this one can't run wasmtime.
    pub(super) fn map(code: &OwnedFd, poolable: bool) -> Result<Self, NotReady> {
        let engine = RunnerEngine::running().map_err(|error| NotReady::Machine(error.to_string()))?;
        let component = CompiledComponent::map(code, engine.engine())
            .map_err(|error| NotReady::Code(one_line(format_args!("{error:#}"), MAX_CAUSE)))?;
        let places = Places::of(&component).filter(|_| poolable);
        let pooled = places.and_then(|places| {
            // Without room for places every call gets its memory for itself.
            let engine = RunnerEngine::pooling(places).ok()?;
            let component = CompiledComponent::map(code, engine.engine()).ok()?;
            Some((engine, component))
        });
        Ok(Self { on_demand: (engine, component), pooled })
    }

    /// Links it.
    ///
    /// # Errors
    /// When it is not of the world of runners.
    pub(super) fn link(self) -> Result<Engines, NotReady> {
        let linked = |(engine, component): (Arc<RunnerEngine>, Component)| {
            let pre = link_component(&engine, &component).map_err(NotReady::World)?;
            Ok(Linked { engine, pre })
        };
        let places = || Arc::new(Semaphore::new(PLACES as usize));
        Ok(Engines {
            on_demand: linked(self.on_demand)?,
            pooled: self.pooled.map(linked).transpose()?.map(|linked| (linked, places())),
        })
    }
}

impl Engines {
    /// What one call is made with.
    pub(super) fn for_call(&self) -> (LinkedRunner, &GuestThreads) {
        if let Some((linked, places)) = &self.pooled
            && let Ok(place) = places.clone().try_acquire_owned()
        {
            return (linked.pre.in_place(place), linked.engine.guest_threads());
        }
        (self.on_demand.pre.clone(), self.on_demand.engine.guest_threads())
    }
}
