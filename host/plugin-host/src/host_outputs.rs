//! The host's side of the WIT interface `outputs`.

use std::io::Read as _;
use std::path::Path;

use bytes::Bytes;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use wasmtime::component::Resource;

use super::bindings::posemesh::runner::outputs::{ArtifactOptions, Host, HostArtifact, StoredArtifact};
use super::limits::LimitReached;
use super::state::{PortFailure, RunState};
use posemesh_runner_api::ports::{
    Artifact, ArtifactSpec, ArtifactWriter, DEFAULT_CHUNK, MAX_CHUNK, PortError,
};

/// The longest artifact path.
const MAX_PATH: usize = 512;

/// An artifact that is being written, as the guest holds it.
pub struct ArtifactHandle {
    path: String,
    /// None once it was finished or has failed.
    writer: Option<Box<dyn ArtifactWriter>>,
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
    let shown: String = path.chars().take(80).flat_map(char::escape_default).collect();
    Err(PortError::invalid(format!("artifact path \"{shown}\": {why}")))
}

impl RunState {
    async fn start(&mut self, path: &str, options: ArtifactOptions) -> Result<ArtifactHandle, PortFailure> {
        check_path(path)?;
        let Some(left) = self.artifacts_left.checked_sub(1) else {
            return Err(LimitReached { name: "artifacts", value: self.limits.artifacts }.into());
        };
        self.artifacts_left = left;
        let spec = ArtifactSpec {
            path: path.to_owned(),
            name: options.name,
            data_type: options.data_type,
            existing_id: options.existing_id,
            size_hint: options.size_hint,
        };
        let writer = self.outputs.create(spec).await?;
        Ok(ArtifactHandle { path: path.to_owned(), writer: Some(writer) })
    }

    fn take_output(&mut self, bytes: u64) -> Result<(), LimitReached> {
        let reached = LimitReached { name: "output_bytes", value: self.limits.output_bytes };
        self.output_bytes_left = self.output_bytes_left.checked_sub(bytes).ok_or(reached)?;
        Ok(())
    }

    async fn write_to(&mut self, artifact: &mut ArtifactHandle, bytes: Bytes) -> Result<(), PortFailure> {
        let Some(mut writer) = artifact.writer.take() else { return Err(closed(&artifact.path).into()) };
        self.take_output(bytes.len() as u64)?;
        writer.write(bytes).await?;
        // Only a write that went well leaves the artifact open.
        artifact.writer = Some(writer);
        Ok(())
    }

    /// A file of the sandbox, whatever links lie there: cap-std lets no path leave its directory.
    fn sandbox_file(&self, path: &str) -> Result<cap_std::fs::File, PortError> {
        let Some(dirs) = &self.dirs else {
            return Err(PortError::denied("there is no sandbox directory here".to_owned()));
        };
        let relative = match path.strip_prefix('/') {
            None => path,
            Some(rest) => rest.strip_prefix("work/").ok_or_else(|| {
                PortError::invalid(format!("file {path:?}: the sandbox directory is /work"))
            })?,
        };
        let (dir, relative) = match relative.strip_prefix("inputs/") {
            Some(rest) => (&dirs.inputs, rest),
            None => (&dirs.work, relative),
        };
        let open = || {
            let file = Dir::open_ambient_dir(dir, ambient_authority())?.open(Path::new(relative))?;
            let kind = file.metadata()?;
            if kind.is_file() { Ok(file) } else { Err(std::io::Error::other("it is not a regular file")) }
        };
        open().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                PortError::not_found(format!("file {path:?} is not in the sandbox"))
            }
            _ => PortError::invalid(format!("opening file {path:?} of the sandbox: {error}")),
        })
    }
}

fn closed(path: &str) -> PortError {
    PortError::invalid(format!("artifact {path} was finished already or has failed"))
}

fn stored(artifact: Artifact) -> StoredArtifact {
    StoredArtifact {
        logical_path: artifact.logical_path,
        name: artifact.name,
        data_type: artifact.data_type,
        id: artifact.id,
        size: artifact.size,
    }
}

impl Host for RunState {
    async fn create(
        &mut self,
        path: String,
        options: ArtifactOptions,
    ) -> Result<Resource<ArtifactHandle>, PortFailure> {
        let artifact = self.start(&path, options).await?;
        Ok(self.table.push(artifact)?)
    }

    async fn put_bytes(
        &mut self,
        path: String,
        bytes: Vec<u8>,
        mut options: ArtifactOptions,
    ) -> Result<StoredArtifact, PortFailure> {
        check_chunk(&path, bytes.len())?;
        options.size_hint = Some(bytes.len() as u64);
        let mut artifact = self.start(&path, options).await?;
        self.write_to(&mut artifact, bytes.into()).await?;
        finish(&mut artifact).await
    }

    async fn put_file(
        &mut self,
        path: String,
        file: String,
        mut options: ArtifactOptions,
    ) -> Result<StoredArtifact, PortFailure> {
        let failed =
            |error: std::io::Error| PortError::other(format!("reading {file:?} of the sandbox: {error}"));
        let mut source = self.sandbox_file(&file)?;
        options.size_hint = Some(source.metadata().map_err(failed)?.len());
        let mut artifact = self.start(&path, options).await?;
        loop {
            let mut chunk = Vec::with_capacity(DEFAULT_CHUNK);
            // The runner's own thread does this: blocking it blocks nobody else.
            (&mut source).take(DEFAULT_CHUNK as u64).read_to_end(&mut chunk).map_err(failed)?;
            if chunk.is_empty() {
                return finish(&mut artifact).await;
            }
            self.write_to(&mut artifact, chunk.into()).await?;
        }
    }
}

fn check_chunk(path: &str, bytes: usize) -> Result<(), PortError> {
    if bytes > MAX_CHUNK {
        return Err(PortError::invalid(format!(
            "{bytes} bytes in one call for artifact {path}: at most {MAX_CHUNK}; create it and write in chunks"
        )));
    }
    Ok(())
}

async fn finish(artifact: &mut ArtifactHandle) -> Result<StoredArtifact, PortFailure> {
    let Some(writer) = artifact.writer.take() else { return Err(closed(&artifact.path).into()) };
    Ok(stored(writer.finish().await?))
}

impl HostArtifact for RunState {
    async fn write(&mut self, artifact: Resource<ArtifactHandle>, bytes: Vec<u8>) -> Result<(), PortFailure> {
        let handle = self.table.get_mut(&artifact)?;
        check_chunk(&handle.path, bytes.len())?;
        // Taken out for the call, since writing needs the rest of the state too.
        let mut taken = ArtifactHandle { path: handle.path.clone(), writer: handle.writer.take() };
        self.write_to(&mut taken, bytes.into()).await?;
        self.table.get_mut(&artifact)?.writer = taken.writer;
        Ok(())
    }

    async fn finish(&mut self, artifact: Resource<ArtifactHandle>) -> Result<StoredArtifact, PortFailure> {
        finish(self.table.get_mut(&artifact)?).await
    }

    async fn drop(&mut self, artifact: Resource<ArtifactHandle>) -> wasmtime::Result<()> {
        self.table.delete(artifact)?;
        Ok(())
    }
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
