//! An artifact that a guest is writing.

use bytes::Bytes;
use posemesh_runner_api::ports::{Artifact, ArtifactSpec, ArtifactWriter, MAX_CHUNK, PortError};
use posemesh_text::one_line;

use crate::instance::outputs::budget::OutputBudget;
use crate::instance::port_failure::PortFailure;
use crate::instance::runner_log::RunnerLog;

/// The longest path of an artifact, and the longest of its other texts, in bytes.
const MAX_PATH: usize = 512;
/// How much of a path that is refused is shown, in bytes.
const MAX_SHOWN: usize = 80;

/// What the guest's handle stands for. Dropped before it is finished, its upload is aborted by the writer.
pub(crate) struct OpenArtifact {
    path: String,
    /// None once it was finished or has failed.
    writer: Option<Box<dyn ArtifactWriter>>,
    log: RunnerLog,
}

/// Dropped while it is open, it is as if it had never been. A runner may mean that; mostly `finish` was forgotten.
impl Drop for OpenArtifact {
    fn drop(&mut self) {
        if self.writer.is_some() {
            let path = one_line(&self.path, MAX_SHOWN);
            self.log
                .remark(&format!("artifact {path} was begun and never finished: nothing of it is stored"));
        }
    }
}

impl OpenArtifact {
    pub(crate) fn new(path: String, writer: Box<dyn ArtifactWriter>, log: RunnerLog) -> Self {
        Self { path, writer: Some(writer), log }
    }

    /// Appends bytes. After an error the artifact is closed, but for a chunk that is too large.
    pub(crate) async fn write(&mut self, bytes: Bytes, budget: &mut OutputBudget) -> Result<(), PortFailure> {
        let mut writer = self.begin_write(bytes.len(), budget)?;
        writer.write(bytes).await?;
        self.wrote(writer);
        Ok(())
    }

    /// The writer, for so many bytes, which are counted. Unless it is given back by [`OpenArtifact::wrote`] the artifact is
    /// closed: only a write that went well leaves it open.
    pub(crate) fn begin_write(
        &mut self,
        bytes: usize,
        budget: &mut OutputBudget,
    ) -> Result<Box<dyn ArtifactWriter>, PortFailure> {
        check_chunk(&self.path, bytes)?;
        let writer = self.open_writer()?;
        // Before the write, so that no byte beyond the limit reaches a server.
        budget.take(bytes as u64)?;
        Ok(writer)
    }

    /// Gives the writer back after a write that went well.
    pub(crate) fn wrote(&mut self, writer: Box<dyn ArtifactWriter>) {
        self.writer = Some(writer);
    }

    /// Commits; the artifact is closed, whether that goes well or not.
    pub(crate) async fn finish(&mut self) -> Result<Artifact, PortError> {
        self.open_writer()?.finish().await
    }

    fn open_writer(&mut self) -> Result<Box<dyn ArtifactWriter>, PortError> {
        let closed =
            || PortError::invalid(format!("artifact {} was finished already or has failed", self.path));
        self.writer.take().ok_or_else(closed)
    }
}

/// Checks an artifact's path, and that what else is said of it is short. Whoever stores it knows what a name may be.
pub(crate) fn check_spec(spec: &ArtifactSpec) -> Result<(), PortError> {
    check_path(&spec.path)?;
    for (what, text) in
        [("name", &spec.name), ("data type", &spec.data_type), ("existing id", &spec.existing_id)]
    {
        if let Some(bytes) = text.as_ref().map(String::len).filter(|bytes| *bytes > MAX_PATH) {
            return Err(PortError::invalid(format!(
                "the artifact's {what} has {bytes} bytes, more than {MAX_PATH}"
            )));
        }
    }
    Ok(())
}

/// Checks that an artifact's path is relative, plain and short.
fn check_path(path: &str) -> Result<(), PortError> {
    let why = if path.is_empty() {
        "it is empty"
    } else if path.len() > MAX_PATH {
        "it has more than 512 bytes"
    } else if path.starts_with('/') {
        "it must be relative"
    } else if path.chars().any(char::is_control) {
        "it has control characters"
    } else if path.contains('\\') {
        "parts are separated by /"
    } else if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        "empty parts, . and .. are not allowed"
    } else {
        return Ok(());
    };
    Err(PortError::invalid(format!("artifact path \"{}\": {why}", one_line(path, MAX_SHOWN))))
}

/// Checks the size of what comes in one call: the host holds it in one piece.
pub(crate) fn check_chunk(path: &str, bytes: usize) -> Result<(), PortError> {
    if bytes > MAX_CHUNK {
        return Err(PortError::invalid(format!(
            "{bytes} bytes in one call for artifact {}: at most {MAX_CHUNK}; create it and write in chunks",
            one_line(path, MAX_SHOWN)
        )));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::check_path;

    #[test]
    fn artifact_paths_are_plain_and_relative() {
        for good in ["a", "a/b.ply", "..a/b..", "ü.json"] {
            check_path(good).unwrap();
        }
        for bad in ["", "/a", "a//b", "../a", "a/..", "a/./b", "a\\b", "a\0b", "a\nb", &"x".repeat(513)] {
            check_path(bad).unwrap_err();
        }
    }
}
