//! What an artifact is called in the domain (protocol 6.8 and 6.10).

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Bytes that a name or a type may have.
pub const MAX_NAME_BYTES: usize = 128;

const FORBIDDEN: &str = ";!?<>[]{}()/\\\"$#@*^&|~%=+";

/// Why a name or type can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// None at all.
    #[error("the artifact's {0} is empty")]
    Empty(&'static str),
    /// More than [`MAX_NAME_BYTES`].
    #[error("the artifact's {what} has {bytes} bytes; {MAX_NAME_BYTES} are allowed")]
    TooLong {
        /// Which: name or data type.
        what: &'static str,
        /// Its bytes.
        bytes: usize,
    },
    /// A character that domain servers refuse.
    #[error("the artifact's {what} holds {character:?}, which domain servers refuse")]
    Forbidden {
        /// Which: name or data type.
        what: &'static str,
        /// The first such character.
        character: char,
    },
    /// A filter of a CID.
    #[error("it is empty, longer than 1024 bytes, or holds control characters")]
    Filter,
}

/// Checks an explicit name or type (`what` says which) by the server's rules, so that a wrong one is
/// known before a byte is sent.
///
/// # Errors
/// When it is empty, too long, or has a character that is not allowed.
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

/// The prefix and the path with one `/` between them.
pub fn logical_path(prefix: Option<&str>, path: &str) -> String {
    let prefix = prefix.unwrap_or_default().trim_matches('/');
    let path = path.trim_start_matches('/');
    match (prefix.is_empty(), path.is_empty()) {
        (true, _) => path.to_owned(),
        (_, true) => prefix.to_owned(),
        _ => format!("{prefix}/{path}"),
    }
}

/// The name of an artifact that was given none. One that would be too long is shortened, and then
/// carries a hash of the path to stay distinct.
pub fn derive(logical_path: &str, task_id: &str) -> String {
    let name = format!("{}_{task_id}", sanitise(logical_path, "artifact"));
    if name.len() <= MAX_NAME_BYTES { name } else { derive_distinct(logical_path, task_id) }
}

/// The same with a hash of the path in it, for a path whose plain name is taken by another path of the
/// task (`a.b` and `a_b`).
pub fn derive_distinct(logical_path: &str, task_id: &str) -> String {
    let tail = format!("_{}_{task_id}", short_hash(logical_path));
    shorten(&sanitise(logical_path, "artifact"), &tail)
}

/// The type that follows from a path's extension.
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
                shorten(&sanitise(other, "part"), &format!("_{}_data", short_hash(other)))
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

/// Cuts an ASCII head so that it fits with its tail.
fn shorten(head: &str, tail: &str) -> String {
    let room = MAX_NAME_BYTES.saturating_sub(tail.len());
    let head: String = head.chars().take(room).collect();
    format!("{head}{tail}")
}

fn short_hash(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes())).chars().take(12).collect()
}

/// The form of a task id in names.
pub fn task_suffix(task_id: Uuid) -> String {
    task_id.hyphenated().to_string()
}

#[cfg(test)]
mod tests;
