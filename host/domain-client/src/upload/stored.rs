//! What a domain server has stored.

use crate::api::error::DomainError;
use crate::api::lookup::ExistingData;
use crate::api::wire::{Metadata, valid_id};

/// Data that the server has stored for an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredData {
    pub(crate) id: Option<String>,
    pub(crate) updated_at: Option<String>,
}

impl StoredData {
    /// Reads the server's answer to an upload of `sent` bytes of the artifact `name`.
    ///
    /// # Errors
    /// [`DomainError::SizeMismatch`] when the server stored another number of bytes.
    pub(super) fn from_answer(
        answer: Metadata,
        name: &str,
        existing: &ExistingData,
        sent: u64,
    ) -> Result<Self, DomainError> {
        // A server need not say the size, but one that says another has not stored what was sent.
        if let Some(stored) = answer.size.filter(|stored| *stored != sent) {
            return Err(DomainError::SizeMismatch { name: name.to_owned(), sent, stored });
        }
        // An update keeps its id, so the known one serves when the answer has none.
        let id = valid_id(answer.id).or_else(|| existing.id().map(str::to_owned));
        Ok(Self { id, updated_at: answer.updated_at })
    }
}
