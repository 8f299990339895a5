//! What an operator's file says that changes nothing for its runner: mostly a name that is misspelt.

use posemesh_text::one_line;

use crate::manifest::description::Description;
use crate::manifest::host_rule::{HostRule, agreed};
use crate::manifest::policy::Policy;

/// How much of a name is shown, in bytes.
const MAX_SHOWN: usize = 200;

impl Policy {
    /// The entries that match nothing of what the runner says of itself, in words, in the order of the file's fields.
    pub fn without_effect(&self, runner: &Description) -> Vec<String> {
        let mut found = Vec::new();
        let mut note = |field: &str, value: &str, what: &str| {
            found.push(format!("{field}: \"{}\": {what}", one_line(value, MAX_SHOWN)));
        };
        for capability in self.capabilities.iter().flatten() {
            if !runner.capabilities.contains(capability) {
                note("capabilities", capability, "the runner does not claim it");
            }
        }
        for name in &self.environment {
            if !runner.environment.contains(name) {
                note("environment", name, "the runner does not ask for it");
            }
        }
        let hosts =
            [("network_hosts", &self.network_hosts), ("private_network_hosts", &self.private_network_hosts)];
        for (field, rules) in hosts {
            for rule in rules {
                if agreed(&runner.network_hosts, std::slice::from_ref::<HostRule>(rule)).is_empty() {
                    note(field, &rule.to_string(), "the runner does not ask for it");
                }
            }
        }
        for name in self.directories.keys() {
            if !runner.directories.contains(name) {
                note("[directories]", name, "the runner does not ask for it");
            }
        }
        found
    }
}
