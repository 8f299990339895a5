//! What the registry of runners tells, as entries.

use posemesh_plugin_host::registry::{GenerationId, RegistryEvent, RegistryObserver};
use posemesh_text::one_line;
use time::OffsetDateTime;

use super::Archive;
use super::entry::{Entry, GenerationEntry};

/// The longest text that is kept, in bytes.
const MAX_TEXT: usize = 1000;
/// The longest name.
const MAX_NAME: usize = 300;

impl RegistryObserver for Archive {
    fn observe(&self, event: &RegistryEvent<'_>) {
        let entry = match event {
            RegistryEvent::Stage { generation, stage, why } => of_generation(generation, stage.as_str(), why),
            RegistryEvent::Refused { runner, number, sha256, passed, reason } => GenerationEntry {
                number: Some(*number),
                sha256: sha256.map(str::to_owned),
                ..of_runner(runner, "refused", &format!("after `{}`: {reason}", passed.as_str()))
            },
            RegistryEvent::RolledBack { runner, why } => of_runner(runner, "rolled_back", why),
            RegistryEvent::Withdrawn { runner, why } => of_runner(runner, "withdrawn", why),
            RegistryEvent::Breaker { runner, state, why } => {
                of_runner(runner, &format!("breaker_{state}"), why)
            }
            // What it may do stands in the audit log, and how its runs end with their tasks.
            RegistryEvent::Granted { .. } | RegistryEvent::Ended { .. } => return,
        };
        self.put(|| Entry::Generation(Box::new(entry)));
    }
}

fn of_generation(generation: &GenerationId, event: &str, why: &str) -> GenerationEntry {
    GenerationEntry {
        number: Some(generation.number),
        version: Some(one_line(&generation.version, MAX_NAME)),
        sha256: Some(generation.sha256.clone()),
        ..of_runner(&generation.runner, event, why)
    }
}

fn of_runner(runner: &str, event: &str, why: &str) -> GenerationEntry {
    GenerationEntry {
        at: OffsetDateTime::now_utc(),
        runner: Some(one_line(runner, MAX_NAME)),
        number: None,
        version: None,
        sha256: None,
        event: event.to_owned(),
        why: Some(one_line(why, MAX_TEXT)),
    }
}
