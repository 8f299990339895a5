//! Text that never prints.

use std::fmt;
use std::sync::Arc;

use posemesh_text::REDACTED;
use serde::de::{Deserialize, Deserializer, Error as _, Unexpected};
use zeroize::Zeroizing;

/// A token, a registration secret, a credential: anything whose bytes must reach no log, error, debug
/// output or runner.
///
/// `Debug` and `Display` write `[redacted]`, it does not serialise, and its memory is wiped when it is
/// dropped with its last clone: clones share it. The one way to the text is [`Secret::expose`], so that every use can be found.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<Zeroizing<String>>);

impl Secret {
    /// Takes the text over.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Arc::new(Zeroizing::new(text.into())))
    }

    /// The text itself, for the one place that sends or signs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Reads a token out of a server's answer. An empty one is no token.
impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Wrapped at once, so that the text is wiped on the way out of an error too.
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        if text.is_empty() {
            return Err(D::Error::invalid_value(Unexpected::Str(""), &"a non-empty string"));
        }
        Ok(Self(Arc::new(text)))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn a_secret_prints_as_redacted_in_every_form() {
        let secret = Secret::new("hunter2");
        assert_eq!(
            format!("{secret} {secret:?} {:?}", Some(&secret)),
            "[redacted] [redacted] Some([redacted])"
        );
        assert_eq!(secret.expose(), "hunter2");
    }
}
