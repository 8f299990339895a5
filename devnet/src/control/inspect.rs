//! What the servers have seen, and the secrets among it.

use uuid::Uuid;

use crate::devnet::Devnet;
use crate::request_log::RequestRecord;
use crate::state::machine_records::{LoginRecord, RegistrationRecord};
use crate::state::sessions::SessionRecord;
use crate::tokens::TokenGrant;

impl Devnet {
    /// The requests so far, in the order of their arrival.
    pub fn requests(&self) -> Vec<RequestRecord> {
        self.servers.requests.all()
    }

    /// The accepted registrations of nodes and robots, in order.
    pub fn registrations(&self) -> Vec<RegistrationRecord> {
        self.servers.registry.state().registrations.clone()
    }

    /// The accepted logins of nodes and robots, in order.
    pub fn logins(&self) -> Vec<LoginRecord> {
        self.servers.registry.state().logins.clone()
    }

    /// The upload sessions, in the order in which they began.
    pub fn multipart_sessions(&self) -> Vec<SessionRecord> {
        self.servers.sessions.all()
    }
}

impl Devnet {
    /// Every secret so far, with a name for its kind: credentials, tokens, nonces, signatures and login
    /// texts. For tests that search for secrets where there must be none.
    pub fn secrets(&self) -> Vec<(&'static str, String)> {
        let mut all = self.servers.registry.secrets();
        all.extend(self.servers.tokens.all());
        all
    }

    /// The nonces issued so far, in order.
    pub fn nonces(&self) -> Vec<String> {
        let secrets = self.servers.registry.secrets().into_iter();
        secrets.filter(|(kind, _)| *kind == "nonce").map(|(_, nonce)| nonce).collect()
    }

    /// Forgets the registration of a node or robot, and expires its tokens; false if it was not registered.
    pub fn forget_registration(&self, id: Uuid) -> bool {
        let of_machine = |grant| grant == TokenGrant::Node(id) || grant == TokenGrant::Robot(id);
        self.servers.tokens.revoke(of_machine);
        self.servers.registry.forget(id)
    }

    /// Expires all machine tokens.
    pub fn revoke_machine_tokens(&self) {
        self.servers.tokens.revoke(|grant| matches!(grant, TokenGrant::Node(_) | TokenGrant::Robot(_)));
    }
}
