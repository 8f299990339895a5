//! Names and types of artifacts in the domain (protocol 6.8 and 6.10).
//!
//! ```
//! use posemesh_domain_data::name;
//!
//! let path = name::logical_path(Some("out"), "job_manifest.json");
//! assert_eq!(path, "out/job_manifest.json");
//! assert_eq!(name::derive(&path, "task-456"), "out_job_manifest_json_task-456");
//! assert_eq!(name::data_type(&path), "json");
//! assert!(name::check("name", "a/b").is_err(), "domain servers refuse a slash");
//! ```

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Bytes that a name or a type may have; domain servers refuse more.
pub const MAX_NAME_BYTES: usize = 128;

/// Characters that domain servers refuse in names and types.
const FORBIDDEN: &str = ";!?<>[]{}()/\\\"$#@*^&|~%=+";

/// Why a name or type can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name or type is empty.
    #[error("the artifact's {0} is empty")]
    Empty(&'static str),
    /// The name or type has more than [`MAX_NAME_BYTES`].
    #[error("the artifact's {what} has {bytes} bytes; {MAX_NAME_BYTES} are allowed")]
    TooLong {
        /// `name` or `data type`.
        what: &'static str,
        /// Bytes of the name or type.
        bytes: usize,
    },
    /// The name or type has a character that domain servers refuse.
    #[error("the artifact's {what} holds {character:?}, which domain servers refuse")]
    Forbidden {
        /// `name` or `data type`.
        what: &'static str,
        /// The first such character.
        character: char,
    },
}

/// Checks an explicit name or type by the domain server's rules, so that a wrong one is refused before a byte is
/// sent. `what` is `name` or `data type` and appears in the error.
///
/// # Errors
/// When the text is empty, too long, or has a character that is not allowed.
pub fn check(what: &'static str, text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty(what));
    }
    if text.len() > MAX_NAME_BYTES {
        return Err(NameError::TooLong { what, bytes: text.len() });
    }
    match text.chars().find(|c| c.is_control() || FORBIDDEN.contains(*c)) {
        Some(character) => Err(NameError::Forbidden { what, character }),
        None => Ok(()),
    }
}

/// Joins the task's `outputs_prefix` and a runner's path by one `/`.
pub fn logical_path(prefix: Option<&str>, path: &str) -> String {
    let prefix = prefix.unwrap_or_default().trim_matches('/');
    let path = path.trim_start_matches('/');
    match (prefix.is_empty(), path.is_empty()) {
        (true, _) => path.to_owned(),
        (_, true) => prefix.to_owned(),
        _ => format!("{prefix}/{path}"),
    }
}

/// The name of an artifact whose runner chose none. A name that would be too long is cut, and gets a hash of the
/// path to stay distinct.
pub fn derive(logical_path: &str, task_id: &str) -> String {
    let name = format!("{}_{task_id}", sanitise(logical_path, "artifact"));
    if name.len() <= MAX_NAME_BYTES { name } else { derive_distinct(logical_path, task_id) }
}

/// As [`derive`](fn@derive), always with a hash of the path: for a path whose plain name is taken by another path of the task
/// (`a.b` and `a_b`).
pub fn derive_distinct(logical_path: &str, task_id: &str) -> String {
    let tail = format!("_{}_{task_id}", short_hash(logical_path));
    join_within_limit(&sanitise(logical_path, "artifact"), &tail)
}

/// The type that follows from a path's extension; `binary` without one.
pub fn data_type(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or_default();
    let extension = match file.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && !extension.is_empty() => extension.to_lowercase(),
        _ => return "binary".to_owned(),
    };
    match extension.as_str() {
        "json" | "ply" | "glb" | "obj" | "csv" | "mp4" => extension,
        "drc" => "ply_draco".to_owned(),
        other => {
            let plain = format!("{}_data", sanitise(other, "part"));
            if plain.len() <= MAX_NAME_BYTES {
                plain
            } else {
                join_within_limit(&sanitise(other, "part"), &format!("_{}_data", short_hash(other)))
            }
        }
    }
}

/// Replaces every character outside `[A-Za-z0-9_-]` by `_`.
fn sanitise(text: &str, when_empty: &str) -> String {
    if text.is_empty() {
        return when_empty.to_owned();
    }
    text.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' }).collect()
}

/// Joins head and tail to a name of at most [`MAX_NAME_BYTES`], for which the ASCII head is cut.
fn join_within_limit(head: &str, tail: &str) -> String {
    let room = MAX_NAME_BYTES.saturating_sub(tail.len());
    let head: String = head.chars().take(room).collect();
    format!("{head}{tail}")
}

fn short_hash(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes())).chars().take(12).collect()
}

/// The spelling of a task id in names.
pub fn task_suffix(task_id: Uuid) -> String {
    task_id.hyphenated().to_string()
}

#[cfg(test)]
mod tests;
