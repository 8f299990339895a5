//! DDS as one node calls it: each call goes through the network.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use posemesh_net::secret::Secret;

use crate::auth::dds::{DdsCall, DdsError};
use crate::auth::login::MachineToken;
use crate::registration::membership::SimulatedDds;
use crate::simulation::call_kind::CallKind;
use crate::simulation::dms::{Reply, START};
use crate::simulation::incarnation::Who;
use crate::simulation::network::call;
use crate::simulation::world::{State, World};

/// DDS as one node calls it.
pub(super) struct SimulatedDiscovery {
    pub(super) world: Arc<World>,
    pub(super) who: Who,
}

impl std::fmt::Debug for SimulatedDiscovery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SimulatedDiscovery")
    }
}

impl SimulatedDiscovery {
    async fn call(
        &self,
        (kind, dds): (CallKind, DdsCall),
        act: impl FnOnce(&mut State, Duration) -> Reply + Send + 'static,
    ) -> Result<Reply, DdsError> {
        let reply = call(&self.world, self.who, kind, act).await;
        let reply = reply.map_err(|_| DdsError::Transport { call: dds, cause: "simulated".to_owned() })?;
        let status = reply.status();
        if status.is_success() {
            return Ok(reply);
        }
        self.world.note(|| format!("DDS: {status} to {} for {kind:?}", self.who));
        Err(DdsError::Status { call: dds, status, excerpt: String::new(), retry_after: None })
    }
}

#[async_trait]
impl SimulatedDds for SimulatedDiscovery {
    async fn register(&self, capabilities: &[String]) -> Result<(), DdsError> {
        let (who, capabilities) = (self.who, capabilities.to_vec());
        self.world.note(|| format!("{} registers {capabilities:?}", self.who));
        let act = move |state: &mut State, _| {
            // The connection ends with its process: a registration can't come after that of the next one, which could not
            // know of it.
            if state.incarnations[who.incarnation].gone.is_none() {
                state.dds.register(who.node, &capabilities);
            }
            Reply::of_status(200)
        };
        self.call((CallKind::Register, DdsCall::RegisterWallet), act).await.map(drop)
    }

    async fn login(&self) -> Result<MachineToken, DdsError> {
        let node = self.who.node;
        let act = move |state: &mut State, now| match state.dds.login(now, node) {
            Some((token, expires)) => {
                let body = format!("{token} {}", expires.as_millis()).into_bytes();
                let date = Some(START + Duration::from_secs(now.as_secs()));
                Reply { body, date, ..Reply::of_status(200) }
            }
            None => Reply::of_status(404),
        };
        let reply = self.call((CallKind::Login, DdsCall::Verify), act).await?;
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        let granted = text.split_once(' ').and_then(|(token, end)| Some((token, end.parse().ok()?)));
        let Some((token, end)) = granted.filter(|_| !text.starts_with('<')) else {
            return Err(DdsError::Answer { call: DdsCall::Verify, what: "simulated nonsense".to_owned() });
        };
        let now = self.world.now();
        self.world.state().links[node].troubles.token_found(now);
        self.world.note(|| format!("{} has logged in: {token}", self.who));
        let expires_at = START + Duration::from_millis(end);
        Ok(MachineToken { token: Secret::new(token), expires_at, server_date: reply.date })
    }
}
