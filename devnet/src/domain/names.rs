//! Which names and data types the domain server accepts (protocol 6.8).

use crate::response::ApiError;

const MAX_BYTES: usize = 128;
const FORBIDDEN: &str = ";!?<>[]{}()/\\\"$#@*^&|~%=+";

/// Refuses a name or data type that the domain server does not accept; `what` says which of them it is.
pub(crate) fn check(what: &str, text: &str) -> Result<(), ApiError> {
    if text.is_empty() || text.len() > MAX_BYTES {
        let bytes = text.len();
        return Err(ApiError::bad_request(format!("{what} must have 1 to {MAX_BYTES} bytes, not {bytes}")));
    }
    match text.chars().find(|char| char.is_control() || FORBIDDEN.contains(*char)) {
        Some(char) => Err(ApiError::bad_request(format!("{what} must not contain {char:?}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
