//! What names and data types may be (protocol 6.8).

use crate::reply::Refusal;

const MAX_BYTES: usize = 128;
const FORBIDDEN: &str = ";!?<>[]{}()/\\\"$#@*^&|~%=+";

/// Refuses a name or data type that the domain server does not take; `what` says which of them it is.
pub(crate) fn check(what: &str, text: &str) -> Result<(), Refusal> {
    if text.is_empty() || text.len() > MAX_BYTES {
        let bytes = text.len();
        return Err(Refusal::bad_request(format!("{what} must have 1 to {MAX_BYTES} bytes, not {bytes}")));
    }
    match text.chars().find(|char| char.is_control() || FORBIDDEN.contains(*char)) {
        Some(char) => Err(Refusal::bad_request(format!("{what} must not contain {char:?}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn names_are_short_and_plain() {
        for good in ["a", "out_job_manifest_json_task-456", "grüße 1.2", &"x".repeat(128)] {
            assert!(check("name", good).is_ok(), "{good:?}");
        }
        for bad in ["", "a/b", "a;b", "a\"b", "a\nb", "a=b", &"x".repeat(129)] {
            assert!(check("name", bad).is_err(), "{bad:?}");
        }
    }
}
