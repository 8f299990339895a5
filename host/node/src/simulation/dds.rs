//! The simulated discovery service: who is registered, and with which tokens (protocol 1).

use std::collections::BTreeSet;
use std::time::Duration;

/// The state of the service.
pub(super) struct Dds {
    nodes: Vec<SimNode>,
    lifetime: Duration,
    issued: u64,
}

#[derive(Default)]
struct SimNode {
    /// What it registered with.
    capabilities: Option<BTreeSet<String>>,
    /// Its tokens and their ends.
    tokens: Vec<(String, Duration)>,
}

impl Dds {
    pub(super) fn new(nodes: usize, lifetime: Duration) -> Self {
        Self { nodes: (0..nodes).map(|_| SimNode::default()).collect(), lifetime, issued: 0 }
    }

    pub(super) fn register(&mut self, node: usize, capabilities: &[String]) {
        self.nodes[node].capabilities = Some(capabilities.iter().cloned().collect());
    }

    pub(super) fn unregister(&mut self, node: usize) {
        self.nodes[node] = SimNode::default();
    }

    /// Withdraws all tokens.
    pub(super) fn revoke(&mut self, node: usize) {
        self.nodes[node].tokens.clear();
    }

    /// A token and its end; none if the node is not registered.
    pub(super) fn login(&mut self, now: Duration, node: usize) -> Option<(String, Duration)> {
        let lifetime = self.lifetime;
        let found = &mut self.nodes[node];
        found.capabilities.as_ref()?;
        found.tokens.retain(|(_, end)| *end > now);
        self.issued += 1;
        let token = (format!("m-{node}-{}", self.issued), now + lifetime);
        found.tokens.push(token.clone());
        Some(token)
    }

    /// The node of a token and its capabilities; none if the token is not valid.
    pub(super) fn node_of(&self, now: Duration, token: &str) -> Option<(usize, &BTreeSet<String>)> {
        self.nodes.iter().enumerate().find_map(|(number, node)| {
            let valid = node.tokens.iter().any(|(held, end)| held == token && *end > now);
            valid.then_some(number).zip(node.capabilities.as_ref())
        })
    }
}
