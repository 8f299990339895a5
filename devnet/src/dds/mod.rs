//! The discovery service: who may log in, and with what they do it (protocol section 1).

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

pub(crate) mod app;
pub(crate) mod node;
pub(crate) mod robot;

pub use app::AppCredentials;

use crate::tokens::Grant;

/// A node that an operator was given credentials for.
#[derive(Debug, Clone)]
pub struct NodeCredentials {
    /// Its id.
    pub node_id: Uuid,
    /// What it registers with: standard Base64 of `<node id>:<secret>` (protocol 1.4).
    pub registration_secret: String,
}

/// A robot that an operator was given credentials for.
#[derive(Debug, Clone)]
pub struct RobotCredentials {
    /// Its id.
    pub robot_id: Uuid,
    /// What it registers and logs in with (protocol 1.9).
    pub registration_credentials: String,
}

/// A registration that was accepted.
#[derive(Debug, Clone)]
pub struct RegistrationRecord {
    /// When.
    pub at: Instant,
    /// The same by the servers' clock.
    pub time: OffsetDateTime,
    /// The node or robot.
    pub id: Uuid,
    /// The wallet; a robot has none.
    pub wallet: Option<String>,
    /// What it says it can do, as sent.
    pub capabilities: Vec<String>,
    /// Its version as sent.
    pub version: String,
}

/// A login that was accepted.
#[derive(Debug, Clone)]
pub struct LoginRecord {
    /// When.
    pub at: Instant,
    /// The same by the servers' clock.
    pub time: OffsetDateTime,
    /// The node or robot.
    pub id: Uuid,
    /// The wallet; a robot has none.
    pub wallet: Option<String>,
}

/// The identity of a node or a robot, as it is kept between runs.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) id: Uuid,
    secret: String,
}

impl Identity {
    pub(crate) fn new() -> Self {
        let secret = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        Self { id: Uuid::new_v4(), secret }
    }

    pub(crate) fn credentials(&self) -> String {
        STANDARD.encode(format!("{}:{}", self.id, self.secret))
    }
}

/// What a node may be given (protocol 3.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WorkerKind {
    /// Public tasks.
    Public,
    /// Dedicated tasks of its organisation first, then public ones.
    Dedicated,
    /// Dedicated tasks of the domain it is assigned to; nothing without one.
    Robot { domain: Option<Uuid> },
}

/// Who polls DMS.
#[derive(Debug, Clone)]
pub(crate) struct Worker {
    pub(crate) id: Uuid,
    pub(crate) capabilities: Vec<String>,
    pub(crate) kind: WorkerKind,
    pub(crate) organization: Uuid,
}

#[derive(Debug)]
struct Member {
    identity: Identity,
    kind: WorkerKind,
    /// Of a node that has registered.
    wallet: Option<String>,
    /// What it registered with; none before that.
    capabilities: Option<Vec<String>>,
}

/// A nonce that was handed out.
#[derive(Debug)]
struct Challenge {
    wallet: String,
    issued_at: String,
    expires: Instant,
}

#[derive(Debug, Default)]
struct State {
    members: HashMap<Uuid, Member>,
    challenges: HashMap<String, Challenge>,
    registrations: Vec<RegistrationRecord>,
    logins: Vec<LoginRecord>,
    /// Nonces given and signatures and login texts taken, newest last.
    spoken: VecDeque<(&'static str, String)>,
}

/// How many nonces, signatures and login texts are remembered.
const SPOKEN: usize = 10_000;

#[derive(Debug)]
pub(crate) struct Dds {
    state: Mutex<State>,
    /// Everybody belongs to it, and every job too.
    pub(crate) organization: Uuid,
    /// The domain server: there is one.
    pub(crate) domain_server: Uuid,
    /// The application: there is one.
    pub(crate) app: AppCredentials,
}

impl Dds {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::default(),
            organization: Uuid::new_v4(),
            domain_server: Uuid::new_v4(),
            app: AppCredentials::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, identity: Identity, kind: WorkerKind) {
        let member = Member { identity, kind, wallet: None, capabilities: None };
        self.state().members.insert(member.identity.id, member);
    }

    pub(crate) fn add_node(&self, identity: Identity, dedicated: bool) -> NodeCredentials {
        let made = NodeCredentials { node_id: identity.id, registration_secret: identity.credentials() };
        self.add(identity, if dedicated { WorkerKind::Dedicated } else { WorkerKind::Public });
        made
    }

    pub(crate) fn add_robot(&self, identity: Identity, domain: Uuid) -> RobotCredentials {
        let made =
            RobotCredentials { robot_id: identity.id, registration_credentials: identity.credentials() };
        self.add(identity, WorkerKind::Robot { domain: Some(domain) });
        made
    }

    /// Who polls with such a grant; none if it is no machine token or the machine is not registered.
    pub(crate) fn worker(&self, grant: Grant) -> Option<Worker> {
        let (Grant::Node(id) | Grant::Robot(id)) = grant else { return None };
        let state = self.state();
        let member = state.members.get(&id)?;
        let capabilities = member.capabilities.clone()?;
        Some(Worker { id, capabilities, kind: member.kind, organization: self.organization })
    }

    /// Forgets a registration, as if it had never been; true if there was one.
    pub(crate) fn forget(&self, id: Uuid) -> bool {
        let mut state = self.state();
        let Some(member) = state.members.get_mut(&id) else { return false };
        member.wallet = None;
        member.capabilities.take().is_some()
    }

    pub(crate) fn registrations(&self) -> Vec<RegistrationRecord> {
        self.state().registrations.clone()
    }

    pub(crate) fn logins(&self) -> Vec<LoginRecord> {
        self.state().logins.clone()
    }

    /// Remembers a nonce, a signature or a login text.
    pub(crate) fn note(&self, what: &'static str, text: &str) {
        let mut state = self.state();
        state.spoken.push_back((what, text.to_owned()));
        if state.spoken.len() > SPOKEN {
            state.spoken.pop_front();
        }
    }

    /// Everything of [`Self::note`], and the credentials of all members and the application.
    pub(crate) fn secrets(&self) -> Vec<(&'static str, String)> {
        let state = self.state();
        let credentials = state.members.values().flat_map(|member| {
            let identity = &member.identity;
            [
                ("registration credentials", identity.credentials()),
                ("registration secret", identity.secret.clone()),
            ]
        });
        let app = [("application secret", self.app.secret.clone())];
        credentials.chain(app).chain(state.spoken.iter().cloned()).collect()
    }

    /// Gives a member new credentials; the old ones are void. None if there is no such member.
    pub(crate) fn rotate(&self, id: Uuid) -> Option<Identity> {
        let mut state = self.state();
        let member = state.members.get_mut(&id)?;
        member.identity.secret = Identity::new().secret;
        Some(member.identity.clone())
    }

    /// Assigns a robot to a domain, or to none; false if it is no robot.
    pub(crate) fn assign(&self, id: Uuid, domain: Option<Uuid>) -> bool {
        match self.state().members.get_mut(&id) {
            Some(Member { kind: kind @ WorkerKind::Robot { .. }, .. }) => {
                *kind = WorkerKind::Robot { domain };
                true
            }
            _ => false,
        }
    }

    /// Forgets nonces that nobody used.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        self.state().challenges.retain(|_, challenge| challenge.expires > now);
    }
}

impl State {
    /// The member whose credentials these are.
    fn by_credentials(&mut self, credentials: &str, robot: bool) -> Option<&mut Member> {
        let text = String::from_utf8(STANDARD.decode(credentials.trim()).ok()?).ok()?;
        let (id, secret) = text.split_once(':')?;
        let member = self.members.get_mut(&Uuid::parse_str(id).ok()?)?;
        let is_robot = matches!(member.kind, WorkerKind::Robot { .. });
        (member.identity.secret == secret && is_robot == robot).then_some(member)
    }
}

/// Semantic versions, with an optional `v` before them (protocol 1.4).
fn is_version(text: &str) -> bool {
    let text = text.trim();
    let text = text.strip_prefix(['v', 'V']).unwrap_or(text);
    let (core, _) = text.split_at(text.find(['-', '+']).unwrap_or(text.len()));
    let numbers: Vec<&str> = core.split('.').collect();
    let is_number = |text: &&str| !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    numbers.len() == 3 && numbers.iter().all(is_number)
}

#[cfg(test)]
mod tests {
    use super::is_version;

    #[test]
    fn versions_are_semantic() {
        for good in ["1.2.3", "v0.1.0", "1.0.0-rc.1+build"] {
            assert!(is_version(good), "{good}");
        }
        for bad in ["", "1.2", "one", "1.2.x", "1..2"] {
            assert!(!is_version(bad), "{bad}");
        }
    }
}
