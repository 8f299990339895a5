//! What a node asks of its machine: room for a task.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::sleep;

use crate::admission::{Admit, Promise, Refusal};
use crate::simulation::draw::Draw;
use crate::simulation::incarnation::Who;
use crate::simulation::world::World;

/// A machine that has no room now and then, and takes a moment to say so.
pub(super) struct SimulatedMachine {
    world: Arc<World>,
    draw: Mutex<Draw>,
}

impl SimulatedMachine {
    pub(super) fn new(world: Arc<World>, who: Who) -> Self {
        let draw = Draw::new(world.plan.seed, 20_000 + who.incarnation as u64);
        Self { world, draw: Mutex::new(draw) }
    }
}

#[async_trait]
impl Admit for SimulatedMachine {
    async fn admit(&self) -> Result<Promise, Refusal> {
        let healthy = self.world.state().healthy;
        let (wait, answer) = {
            let mut draw = self.draw.lock().unwrap_or_else(PoisonError::into_inner);
            (draw.of([0, 0, 1, 5, 400]), draw.between(0, 39))
        };
        if wait > 0 {
            sleep(Duration::from_millis(wait)).await;
        }
        match answer {
            0 if !healthy => Err(Refusal::Trouble),
            1 if !healthy => Err(Refusal::Busy("simulated".to_owned())),
            _ => Ok(Promise::default()),
        }
    }
}
