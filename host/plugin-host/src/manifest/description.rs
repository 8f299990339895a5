//! What a runner says of itself, checked: it is text from a stranger that ends up in logs, in DDS and on
//! people's screens.

use posemesh_text::{is_plain, one_line};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::manifest::host_rule::HostRule;
use crate::manifest::limits::LimitSettings;

/// The most entries of one list.
const MAX_ENTRIES: usize = 64;
/// The most capabilities of one runner.
const MAX_CAPABILITIES: usize = 32;
/// How much of a text that is refused is shown, in bytes.
const MAX_SHOWN: usize = 80;
/// The largest JSON Schema of a runner's parameters, in bytes.
const MAX_META_SCHEMA: usize = 64 << 10;

/// What `describe` returned, as it came: nothing of it can be relied on.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct RawDescription {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) summary: String,
    pub(crate) capabilities: Vec<String>,
    pub(crate) limits: LimitSettings,
    pub(crate) network_hosts: Vec<String>,
    pub(crate) environment: Vec<String>,
    pub(crate) directories: Vec<String>,
    pub(crate) meta_schema: Option<String>,
    pub(crate) homepage: Option<String>,
    pub(crate) license: Option<String>,
}

/// A runner's manifest (`description` of the WIT), every field bounded and free of control characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Description {
    /// The runner's name: letters, digits, `-` and `_`. The operator knows it by its file instead.
    pub name: String,
    /// A semantic version, by the runner's own account.
    pub version: String,
    /// One sentence for people.
    pub summary: String,
    /// The capabilities that it claims, sorted: 1 to 32, each beginning with `/`.
    pub capabilities: Vec<String>,
    /// The limits that it asks for.
    pub limits: LimitSettings,
    /// The hosts that it wants to reach.
    pub network_hosts: Vec<HostRule>,
    /// The environment variables that it wants to see.
    pub environment: Vec<String>,
    /// The names of the directories that it wants to read.
    pub directories: Vec<String>,
    /// A JSON Schema of the `meta` that it takes.
    pub meta_schema: Option<String>,
    /// Where people read more.
    pub homepage: Option<String>,
    /// The licence that it is under.
    pub license: Option<String>,
}

impl Description {
    /// Takes over what `describe` returned.
    ///
    /// # Errors
    /// The field, its value and what is allowed.
    pub(crate) fn check(raw: RawDescription) -> Result<Self, String> {
        if raw.name.is_empty() || raw.name.len() > 64 || !raw.name.chars().all(is_name_character) {
            return Err(format!("name {}: 1 to 64 letters, digits, - and _ are allowed", quoted(&raw.name)));
        }
        check_text("version", &raw.version, 64)?;
        if raw.version.is_empty() {
            return Err("version is empty: it takes a semantic version, such as 1.0.0".to_owned());
        }
        check_text("summary", &raw.summary, 500)?;
        let capabilities = check_capabilities(raw.capabilities)?;
        check_list("network-hosts", &raw.network_hosts)?;
        check_list("environment", &raw.environment)?;
        check_list("directories", &raw.directories)?;
        let network_hosts = raw.network_hosts.iter().map(|text| text.parse()).collect::<Result<_, _>>();
        let network_hosts = network_hosts.map_err(|what: String| format!("network-hosts: {what}"))?;
        for directory in &raw.directories {
            if directory.is_empty() || !directory.chars().all(is_name_character) {
                return Err(format!(
                    "directory {}: it is a name of letters, digits, - and _ that the operator maps to a folder",
                    quoted(directory)
                ));
            }
        }
        check_text("homepage", raw.homepage.as_deref().unwrap_or_default(), 500)?;
        check_text("license", raw.license.as_deref().unwrap_or_default(), 100)?;
        raw.meta_schema.as_deref().map_or(Ok(()), check_schema)?;
        Ok(Self {
            name: raw.name,
            version: raw.version,
            summary: raw.summary,
            capabilities,
            limits: raw.limits,
            network_hosts,
            environment: raw.environment,
            directories: raw.directories,
            meta_schema: raw.meta_schema,
            homepage: raw.homepage,
            license: raw.license,
        })
    }
}

fn check_capabilities(mut capabilities: Vec<String>) -> Result<Vec<String>, String> {
    if capabilities.is_empty() || capabilities.len() > MAX_CAPABILITIES {
        return Err(format!(
            "it names {} capabilities; 1 to {MAX_CAPABILITIES} are allowed",
            capabilities.len()
        ));
    }
    for capability in &capabilities {
        if !capability.starts_with('/') || capability.contains(char::is_whitespace) {
            return Err(format!(
                "capability {}: it starts with / and has no spaces, such as /posemesh/noop/v1",
                quoted(capability)
            ));
        }
        check_text("capability", capability, 200)?;
    }
    // Sorted, since `dedup` only finds neighbours.
    capabilities.sort();
    capabilities.dedup();
    Ok(capabilities)
}

fn check_list(field: &str, list: &[String]) -> Result<(), String> {
    if list.len() > MAX_ENTRIES {
        return Err(format!("{field} has {} entries; at most {MAX_ENTRIES} are allowed", list.len()));
    }
    list.iter().try_for_each(|entry| check_text(field, entry, 255))
}

/// A schema may have line breaks, and it is only ever handed on; it need not be read but as JSON.
fn check_schema(schema: &str) -> Result<(), String> {
    if schema.len() > MAX_META_SCHEMA {
        return Err(format!("meta-schema has {} bytes; at most {MAX_META_SCHEMA} are allowed", schema.len()));
    }
    let read = serde_json::from_str::<IgnoredAny>(schema);
    read.map(drop).map_err(|error| format!("meta-schema is not JSON: {error}"))
}

fn check_text(field: &str, value: &str, most: usize) -> Result<(), String> {
    if value.len() > most {
        return Err(format!("{field} has {} bytes; at most {most} are allowed", value.len()));
    }
    // What this lets through is shown as it is: in logs, lists, labels and to DDS.
    if !is_plain(value) {
        return Err(format!("{field} {} has control characters", quoted(value)));
    }
    Ok(())
}

fn is_name_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '-' || character == '_'
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", one_line(text, MAX_SHOWN))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn raw() -> RawDescription {
        RawDescription {
            name: "noop".to_owned(),
            version: "1.0.0".to_owned(),
            capabilities: vec!["/b".to_owned(), "/a".to_owned(), "/b".to_owned()],
            ..RawDescription::default()
        }
    }

    #[test]
    fn capabilities_are_sorted_and_named_once() {
        assert_eq!(Description::check(raw()).unwrap().capabilities, ["/a", "/b"]);
    }

    #[test]
    fn what_is_refused_is_named_with_its_value_and_what_is_allowed() {
        type Damage = fn(&mut RawDescription);
        let damages: [(Damage, &str); 11] = [
            (|raw| raw.name = "a b".to_owned(), "name \"a b\": 1 to 64 letters"),
            (|raw| raw.version.clear(), "semantic version"),
            (|raw| raw.summary = "a\nb".to_owned(), "summary \"a\\nb\" has control characters"),
            (|raw| raw.version = "1\u{1b}[2J".to_owned(), "version \"1\\u{1b}[2J\" has control characters"),
            (|raw| raw.summary = "\u{202e}gnp".to_owned(), "summary \"\\u{202e}gnp\" has control characters"),
            (|raw| raw.capabilities.push("/a\u{2066}b".to_owned()), "capability \"/a\\u{2066}b\""),
            (|raw| raw.capabilities.clear(), "names 0 capabilities; 1 to 32"),
            (|raw| raw.capabilities.push("a".to_owned()), "starts with /"),
            (|raw| raw.directories.push("../x".to_owned()), "directory \"../x\""),
            (|raw| raw.network_hosts.push("http://x/".to_owned()), "network-hosts: host"),
            (|raw| raw.meta_schema = Some("{".to_owned()), "not JSON"),
        ];
        for (damage, want) in damages {
            let mut broken = raw();
            damage(&mut broken);
            let error = Description::check(broken).unwrap_err();
            assert!(error.contains(want), "{want:?} is not in {error:?}");
        }
    }
}
