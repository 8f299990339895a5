//! What the guest's handles stand for. They lie below the bindings, which are generated in terms of them.

#![allow(unreachable_pub, reason = "the generated bindings re-export the handles")]

use std::sync::Arc;

use tokio::sync::Mutex;

use crate::instance::inputs::download::InputReader;
use crate::instance::outputs::artifact::OpenArtifact;

/// An opened CID (`inputs.input`).
pub struct InputHandle {
    pub(crate) download: SharedDownload,
}

/// A part of an opened CID (`inputs.part`).
pub struct PartHandle {
    pub(crate) download: SharedDownload,
    pub(crate) index: usize,
}

/// An artifact that is being written (`outputs.artifact`).
pub struct ArtifactHandle(pub(crate) OpenArtifact);

/// An input and its parts share the download: a part stays readable after its input was dropped.
pub(crate) type SharedDownload = Arc<Mutex<InputReader>>;
