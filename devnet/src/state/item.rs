//! The metadata of domain data.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The metadata of domain data, on the wire and in the index file (protocol 6.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataItem {
    /// Id of the data.
    pub id: Uuid,
    /// Id of the domain.
    pub domain_id: Uuid,
    /// Name, unique in the domain.
    pub name: String,
    /// Data type, for example `ply`.
    pub data_type: String,
    /// Size in bytes.
    pub size: u64,
    /// When the data was created (RFC 3339).
    pub created_at: String,
    /// When the content was last replaced (RFC 3339).
    pub updated_at: String,
}

/// An item, and the file with its content.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredItem {
    #[serde(flatten)]
    pub(crate) item: DataItem,
    /// Name of the file. It changes with every update.
    pub(crate) blob: Uuid,
}
