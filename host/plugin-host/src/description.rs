//! What a runner says of itself, checked: it is text from a stranger that ends up in logs, in DDS and
//! on people's screens.

use serde::Serialize;

use super::bindings::posemesh::runner::types;
use super::limits::LimitSettings;
use super::network::HostRule;

/// A runner's manifest (`description` of the WIT).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Description {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// One sentence.
    pub summary: String,
    /// The capabilities it serves, sorted.
    pub capabilities: Vec<String>,
    /// The limits it asks for.
    pub limits: LimitSettings,
    /// The hosts it wants to reach.
    pub network_hosts: Vec<HostRule>,
    /// The environment variables it wants to see.
    pub environment: Vec<String>,
    /// The directories it wants to read.
    pub directories: Vec<String>,
    /// A JSON Schema of its `meta`.
    pub meta_schema: Option<String>,
    /// Where to read more.
    pub homepage: Option<String>,
    /// Its licence.
    pub license: Option<String>,
}

impl Description {
    /// Takes over what `describe` returned.
    ///
    /// # Errors
    /// The field, its value and what is allowed.
    pub fn check(raw: types::Description) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if raw.name.is_empty() || raw.name.len() > 64 || !raw.name.chars().all(plain) {
            return Err(format!("name {:?}: 1 to 64 letters, digits, - and _ are allowed", cut(&raw.name)));
        }
        text("version", &raw.version, 64)?;
        if raw.version.is_empty() {
            return Err("version is empty: it takes a semantic version, such as 1.0.0".to_owned());
        }
        text("summary", &raw.summary, 500)?;
        let mut capabilities = raw.capabilities;
        if capabilities.is_empty() || capabilities.len() > 32 {
            return Err(format!("it names {} capabilities; 1 to 32 are allowed", capabilities.len()));
        }
        for capability in &capabilities {
            if !capability.starts_with('/') || capability.contains(char::is_whitespace) {
                return Err(format!(
                    "capability {:?}: it starts with / and has no spaces, such as /posemesh/noop/v1",
                    cut(capability)
                ));
            }
            text("capability", capability, 200)?;
        }
        capabilities.sort();
        capabilities.dedup();
        let requests = raw.requests;
        for (field, list) in [
            ("network-hosts", &requests.network_hosts),
            ("environment", &requests.environment),
            ("directories", &requests.directories),
        ] {
            if list.len() > 64 {
                return Err(format!("{field} has {} entries; at most 64 are allowed", list.len()));
            }
            list.iter().try_for_each(|entry| text(field, entry, 255))?;
        }
        let network_hosts = requests.network_hosts.iter().map(|text| text.parse());
        let network_hosts =
            network_hosts.collect::<Result<_, _>>().map_err(|what| format!("network-hosts: {what}"))?;
        for directory in &requests.directories {
            if directory.is_empty() || !directory.chars().all(plain) {
                return Err(format!(
                    "directory {:?}: it is a name of letters, digits, - and _ that the operator maps to a folder",
                    cut(directory)
                ));
            }
        }
        for (field, value, most) in [
            ("homepage", &raw.homepage, 500),
            ("license", &raw.license, 100),
            ("meta-schema", &raw.meta_schema, 64 << 10),
        ] {
            let Some(value) = value else { continue };
            if field == "meta-schema" {
                serde_json::from_str::<serde::de::IgnoredAny>(value)
                    .map_err(|error| format!("meta-schema is not JSON: {error}"))?;
                if value.len() > most {
                    return Err(format!("meta-schema has {} bytes; at most {most} are allowed", value.len()));
                }
            } else {
                text(field, value, most)?;
            }
        }
        Ok(Self {
            name: raw.name,
            version: raw.version,
            summary: raw.summary,
            capabilities,
            limits: LimitSettings {
                memory_bytes: requests.memory_bytes,
                deadline_ms: requests.deadline_ms,
                cpu_time_ms: requests.cpu_time_ms,
                scratch_bytes: requests.scratch_bytes,
                output_bytes: requests.output_bytes,
                ..LimitSettings::default()
            },
            network_hosts,
            environment: requests.environment,
            directories: requests.directories,
            meta_schema: raw.meta_schema,
            homepage: raw.homepage,
            license: raw.license,
        })
    }
}

fn text(field: &str, value: &str, most: usize) -> Result<(), String> {
    if value.len() > most {
        return Err(format!("{field} has {} bytes; at most {most} are allowed", value.len()));
    }
    if value.chars().any(char::is_control) {
        return Err(format!("{field} {:?} has control characters", cut(value)));
    }
    Ok(())
}

fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}
