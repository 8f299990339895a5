//! What the registry of runners tells, as lines.

use posemesh_plugin_host::registry::{GenerationId, RegistryEvent, RegistryObserver};
use posemesh_text::one_line;
use serde_json::{Value, json};

use super::AuditLog;

/// The longest text of a field, in bytes.
const MAX_TEXT: usize = 2000;
/// The longest name of a runner: that of a file.
const MAX_NAME: usize = 300;

impl RegistryObserver for AuditLog {
    fn observe(&self, event: &RegistryEvent<'_>) {
        match event {
            RegistryEvent::Granted { generation, capabilities, grant } => self.record(
                "granted",
                [
                    ("runner", runner(generation)),
                    ("capabilities", text(capabilities.join(" "))),
                    ("limits", json!(grant.limits)),
                    ("environment", text(grant.environment.join(" "))),
                    ("network_hosts", list(&grant.network_hosts)),
                    ("private_network_hosts", list(&grant.private_network_hosts)),
                    ("directories", directories(grant.directories.iter())),
                    ("not_granted", text(grant.not_granted.join("; "))),
                ],
            ),
            RegistryEvent::Stage { generation, stage, .. } => {
                self.record("generation", [("stage", stage.as_str().into()), ("runner", runner(generation))]);
            }
            RegistryEvent::Refused { runner, number, sha256, passed, reason } => self.record(
                "refused",
                [
                    (
                        "runner",
                        json!({"name": one_line(runner, MAX_NAME), "number": number, "sha256": sha256}),
                    ),
                    ("passed", passed.as_str().into()),
                    ("reason", text(reason)),
                ],
            ),
            RegistryEvent::RolledBack { runner, why } => {
                self.record("rolled_back", [("runner", name(runner)), ("why", text(why))]);
            }
            RegistryEvent::Withdrawn { runner, why } => {
                self.record("withdrawn", [("runner", name(runner)), ("why", text(why))]);
            }
            RegistryEvent::Ended { generation, task, kind, reason } => self.record(
                "run_ended",
                [
                    ("kind", kind.as_str().into()),
                    ("runner", runner(generation)),
                    ("task", task.to_string().into()),
                    ("reason", text(reason)),
                ],
            ),
            RegistryEvent::Breaker { runner, state, why } => self.record(
                "breaker",
                [("state", (*state).into()), ("runner", name(runner)), ("why", text(why))],
            ),
        }
    }
}

fn runner(generation: &GenerationId) -> Value {
    let GenerationId { runner, number, version, sha256 } = generation;
    json!({
        "name": one_line(runner, MAX_NAME),
        "number": number,
        "version": one_line(version, MAX_NAME),
        "sha256": sha256,
    })
}

fn name(runner: &str) -> Value {
    json!({"name": one_line(runner, MAX_NAME)})
}

fn text(text: impl std::fmt::Display) -> Value {
    one_line(text, MAX_TEXT).into()
}

fn list(entries: &[impl ToString]) -> Value {
    text(entries.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
}

fn directories<'a>(entries: impl Iterator<Item = (&'a String, &'a std::path::PathBuf)>) -> Value {
    let entries: Vec<String> = entries.map(|(name, folder)| format!("{name}={}", folder.display())).collect();
    text(entries.join(" "))
}
