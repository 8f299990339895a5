//! The state of DDS: the machines (nodes and robots) that it knows, and the nonces that it issued.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use uuid::Uuid;

use crate::state::credentials::{AppCredentials, MachineIdentity, NodeCredentials, RobotCredentials};
use crate::state::machine_records::{LoginRecord, RegistrationRecord};
use crate::tokens::TokenGrant;

/// How many nonces, signatures and login texts are kept for [`MachineRegistry::secrets`].
const MAX_LOGIN_SECRETS: usize = 10_000;

/// Which tasks a machine may be given (protocol 3.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MachineKind {
    /// Public tasks.
    Node,
    /// Dedicated tasks of the domain that the robot is assigned to.
    Robot { domain: Uuid },
}

/// A registered machine, as DMS knows it.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    pub(crate) id: Uuid,
    pub(crate) kind: MachineKind,
    pub(crate) capabilities: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct MachineEntry {
    pub(crate) identity: MachineIdentity,
    pub(crate) kind: MachineKind,
    /// The wallet that a node registered; none before that, and for robots.
    pub(crate) wallet: Option<String>,
    /// The capabilities that the machine registered; none before that.
    pub(crate) capabilities: Option<Vec<String>>,
}

/// A nonce that was issued and not yet used.
#[derive(Debug)]
pub(crate) struct NonceEntry {
    pub(crate) wallet: String,
    pub(crate) issued_at: String,
    pub(crate) expires: Instant,
}

#[derive(Debug, Default)]
pub(crate) struct RegistryState {
    pub(crate) machines: HashMap<Uuid, MachineEntry>,
    pub(crate) nonces: HashMap<String, NonceEntry>,
    pub(crate) registrations: Vec<RegistrationRecord>,
    pub(crate) logins: Vec<LoginRecord>,
    /// Nonces sent, signatures and login texts received; the newest last, each with a name for its kind.
    login_secrets: VecDeque<(&'static str, String)>,
}

#[derive(Debug)]
pub(crate) struct MachineRegistry {
    state: Mutex<RegistryState>,
    /// The one organization, of every machine and every job.
    pub(crate) organization: Uuid,
    /// The id of the one domain server.
    pub(crate) domain_server: Uuid,
    /// The one application.
    pub(crate) app: AppCredentials,
}

impl MachineRegistry {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::default(),
            organization: Uuid::new_v4(),
            domain_server: Uuid::new_v4(),
            app: AppCredentials::new(),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, RegistryState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, identity: MachineIdentity, kind: MachineKind) {
        let machine = MachineEntry { identity, kind, wallet: None, capabilities: None };
        self.state().machines.insert(machine.identity.id, machine);
    }

    pub(crate) fn add_node(&self, identity: MachineIdentity) -> NodeCredentials {
        let credentials = NodeCredentials { node_id: identity.id, registration_secret: identity.encode() };
        self.add(identity, MachineKind::Node);
        credentials
    }

    /// Adds a robot that is assigned to a domain.
    pub(crate) fn add_robot(&self, identity: MachineIdentity, domain: Uuid) -> RobotCredentials {
        let credentials =
            RobotCredentials { robot_id: identity.id, registration_credentials: identity.encode() };
        self.add(identity, MachineKind::Robot { domain });
        credentials
    }

    /// The machine that a token belongs to; none if it is no machine token, or the machine is not registered.
    pub(crate) fn machine(&self, grant: TokenGrant) -> Option<Machine> {
        let (TokenGrant::Node(id) | TokenGrant::Robot(id)) = grant else { return None };
        let state = self.state();
        let machine = state.machines.get(&id)?;
        Some(Machine { id, kind: machine.kind, capabilities: machine.capabilities.clone()? })
    }

    /// Forgets a registration, as if it had never happened; false if there was none.
    pub(crate) fn forget(&self, id: Uuid) -> bool {
        let mut state = self.state();
        let Some(machine) = state.machines.get_mut(&id) else { return false };
        // The wallet too, so that the machine may come back with another one.
        machine.wallet = None;
        machine.capabilities.take().is_some()
    }

    /// Every secret so far, with a name for its kind: the credentials of all machines and of the application,
    /// and those of [`RegistryState::keep_secret`].
    pub(crate) fn secrets(&self) -> Vec<(&'static str, String)> {
        let state = self.state();
        let credentials = state.machines.values().flat_map(|machine| {
            let identity = &machine.identity;
            [
                ("registration credentials", identity.encode()),
                ("registration secret", identity.secret.clone()),
            ]
        });
        let app = [("application secret", self.app.secret.clone())];
        credentials.chain(app).chain(state.login_secrets.iter().cloned()).collect()
    }

    /// Forgets nonces that expired unused.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        self.state().nonces.retain(|_, nonce| nonce.expires > now);
    }
}

impl RegistryState {
    /// The machine with these credentials, if it is a robot or not as `robot` wants it.
    pub(crate) fn by_credentials(&mut self, credentials: &str, robot: bool) -> Option<&mut MachineEntry> {
        let given = MachineIdentity::decode(credentials)?;
        let machine = self.machines.get_mut(&given.id)?;
        let is_robot = matches!(machine.kind, MachineKind::Robot { .. });
        (machine.identity.secret == given.secret && is_robot == robot).then_some(machine)
    }

    /// Remembers a secret of a login, for tests that search logs for it.
    pub(crate) fn keep_secret(&mut self, kind: &'static str, text: &str) {
        self.login_secrets.push_back((kind, text.to_owned()));
        if self.login_secrets.len() > MAX_LOGIN_SECRETS {
            self.login_secrets.pop_front();
        }
    }
}
