//! Why an answer is not what the protocol says, in words that quote nothing of it.

/// Why an answer is not what the protocol says. Holds nothing of the answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// It does not parse.
    #[error("the answer is not JSON (line {line}, column {column})")]
    Syntax {
        /// The line of the first error, from 1.
        line: usize,
        /// The column in that line.
        column: usize,
    },
    /// It is JSON of another kind.
    #[error("the answer is not a JSON object")]
    NotAnObject,
    /// A required field is missing or null.
    #[error("the answer lacks the field `{0}`")]
    Missing(String),
    /// A field holds something else.
    #[error("the field `{field}` of the answer is not {expected}")]
    Invalid {
        /// The field's path: `task.id`.
        field: String,
        /// What belongs there, with an article.
        expected: String,
    },
}

/// Takes from serde's message what is ours: the field and what was expected, not the value.
pub(super) fn describe(path: &str, message: &str) -> JsonError {
    if let Some(field) = message.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
        // A missing field is reported at the object that lacks it, so the path ends one step too early.
        let field = if path == "." { field.to_owned() } else { format!("{path}.{field}") };
        return JsonError::Missing(field);
    }
    // The type's author says what is expected, and says so last; what came stands before it.
    let expected = message.rsplit_once(", expected ").map(|(_, expected)| expected.to_owned());
    // For the protocol a null is an absent field, so the error should say that it is missing.
    if message.starts_with("invalid type: null") {
        return JsonError::Missing(path.to_owned());
    }
    let expected = expected.unwrap_or_else(|| "what the protocol says".to_owned());
    JsonError::Invalid { field: path.to_owned(), expected }
}
