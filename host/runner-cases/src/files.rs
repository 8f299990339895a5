//! Ports backed by files, in place of a domain server.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use posemesh_domain_data::{cid, name};
use posemesh_files::open_regular;
use posemesh_runner_api::ports::{
    Artifact, ArtifactSpec, ArtifactWriter, InputPort, OutputPort, PartInfo, PartStream, PortError,
};
use posemesh_text::one_line;
use sha2::{Digest as _, Sha256};
use tempfile::{Builder, TempPath};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::spawn_blocking;

/// How much of an id that is refused is shown, in bytes.
const MAX_SHOWN: usize = 80;

/// Inputs that are files: each file is a part. The only part of an input is named after its CID, one of several after its
/// file.
#[derive(Debug, Clone, Default)]
pub struct FileInputs {
    files: BTreeMap<String, Vec<PathBuf>>,
    read: BytesRead,
}

/// How many bytes of its inputs a runner has read so far. Cloning shares.
#[derive(Debug, Clone, Default)]
pub struct BytesRead(Arc<AtomicU64>);

impl BytesRead {
    /// The number.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl FileInputs {
    /// Inputs with these CIDs and files, in the order of the parts. A file is opened when its part's turn comes.
    pub fn new(files: BTreeMap<String, Vec<PathBuf>>) -> Self {
        Self { files, read: BytesRead::default() }
    }

    /// The same, with what is read counted here.
    #[must_use]
    pub fn counted(self, read: BytesRead) -> Self {
        Self { read, ..self }
    }
}

struct FileParts {
    cid: String,
    /// Whether parts are named after their files.
    are_several: bool,
    left: VecDeque<PathBuf>,
    /// The part that is read.
    file: Option<File>,
    read: BytesRead,
}

#[async_trait]
impl InputPort for FileInputs {
    async fn open(&self, cid: &str) -> Result<Box<dyn PartStream>, PortError> {
        let Some(files) = self.files.get(cid) else {
            let known: Vec<&str> = self.files.keys().map(String::as_str).collect();
            return Err(PortError::not_found(format!(
                "there is no input {cid:?}; the task has {}",
                if known.is_empty() { "none".to_owned() } else { known.join(", ") }
            )));
        };
        let (left, are_several) = (files.clone().into(), files.len() > 1);
        let read = self.read.clone();
        Ok(Box::new(FileParts { cid: cid.to_owned(), are_several, left, file: None, read }))
    }
}

#[async_trait]
impl PartStream for FileParts {
    async fn next_part(&mut self) -> Result<Option<PartInfo>, PortError> {
        let Some(path) = self.left.pop_front() else { return Ok(None) };
        let failed = |error| PortError::not_found(format!("opening input {}: {error}", path.display()));
        let opened = path.clone();
        let file = spawn_blocking(move || open_regular(&opened)).await.map_err(io::Error::other);
        let file = File::from_std(file.and_then(|file| file).map_err(failed)?);
        let size = file.metadata().await.map_err(failed)?.len();
        self.file = Some(file);
        let name = if self.are_several { path.as_path() } else { Path::new(&self.cid) };
        let text = |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned());
        Ok(Some(PartInfo {
            data_id: self.cid.clone(),
            name: text(name.file_stem()).unwrap_or_default(),
            data_type: text(name.extension()).unwrap_or_else(|| "binary".to_owned()),
            size,
            domain_id: String::new(),
            created_at: None,
            updated_at: None,
        }))
    }

    async fn read(&mut self, max_bytes: usize) -> Result<Bytes, PortError> {
        let mut bytes = Vec::with_capacity(max_bytes);
        let Some(file) = &mut self.file else { return Ok(Bytes::new()) };
        file.take(max_bytes as u64)
            .read_to_end(&mut bytes)
            .await
            .map_err(|error| PortError::other(format!("reading an input file: {error}")))?;
        self.read.0.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(bytes.into())
    }
}

/// Stores artifacts as files in a folder, at their paths.
#[derive(Debug, Clone)]
pub struct FileOutputs {
    dir: PathBuf,
    prefix: Option<String>,
    task_id: String,
    finished: Arc<Mutex<Vec<Artifact>>>,
    /// Which path has which name and type: as in a domain, one of them stands for one artifact of the task.
    named: Arc<Mutex<BTreeMap<(String, String), String>>>,
}

impl FileOutputs {
    /// Stores below `dir`, an existing folder. The prefix and the id of the task go into the names of the
    /// artifacts as on a domain server, not into the paths of the files.
    pub fn new(dir: PathBuf, prefix: Option<String>, task_id: String) -> Self {
        Self { dir, prefix, task_id, finished: Arc::default(), named: Arc::default() }
    }

    /// Checks what the runner has chosen itself by the rules of a domain and of its node, so that nothing passes here that a
    /// node refuses, and in the same words.
    fn check(&self, spec: &ArtifactSpec) -> Result<(), PortError> {
        for (what, text) in [("name", &spec.name), ("data type", &spec.data_type)] {
            let Some(text) = text else { continue };
            name::check(what, text).map_err(|error| PortError::invalid(error.to_string()))?;
        }
        if let Some(id) = spec.existing_id.as_deref().filter(|id| cid::hyphenated_uuid(id).is_none()) {
            let id = one_line(id, MAX_SHOWN);
            return Err(PortError::invalid(format!("the artifact's existing id `{id}` is not a UUID")));
        }
        let Some(name) = &spec.name else { return Ok(()) };
        let data_type = spec.data_type.clone().unwrap_or_else(|| name::data_type(&spec.path));
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        let owner = named.entry((name.clone(), data_type)).or_insert_with(|| spec.path.clone());
        if *owner != spec.path {
            return Err(PortError::invalid(format!(
                "the artifact `{owner}` of this task has the name `{name}` and the same type already"
            )));
        }
        Ok(())
    }
}

struct FileArtifact {
    outputs: FileOutputs,
    spec: ArtifactSpec,
    file: File,
    temp: TempPath,
    digest: Sha256,
    size: u64,
}

#[async_trait]
impl OutputPort for FileOutputs {
    async fn create(&self, spec: ArtifactSpec) -> Result<Box<dyn ArtifactWriter>, PortError> {
        self.check(&spec)?;
        let target = self.dir.join(&spec.path);
        let failed = |error| PortError::other(format!("making {}: {error}", target.display()));
        let folder = target.parent().unwrap_or(&self.dir).to_owned();
        tokio::fs::create_dir_all(&folder).await.map_err(failed)?;
        // Under a temporary name until it is finished: an aborted artifact leaves no file.
        let create = move || Builder::new().prefix(".part-").tempfile_in(folder);
        let temp = spawn_blocking(create).await.map_err(std::io::Error::other);
        let (file, temp) = temp.and_then(|file| file).map_err(failed)?.into_parts();
        let file = File::from_std(file);
        Ok(Box::new(FileArtifact { outputs: self.clone(), spec, file, temp, digest: Sha256::new(), size: 0 }))
    }

    fn finished(&self) -> Vec<Artifact> {
        self.finished.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl ArtifactWriter for FileArtifact {
    async fn write(&mut self, bytes: Bytes) -> Result<(), PortError> {
        self.digest.update(&bytes);
        self.size += bytes.len() as u64;
        self.file
            .write_all(&bytes)
            .await
            .map_err(|error| PortError::other(format!("writing artifact {}: {error}", self.spec.path)))
    }

    async fn finish(mut self: Box<Self>) -> Result<Artifact, PortError> {
        let Self { outputs, spec, mut file, temp, digest, size } = *self;
        let target = outputs.dir.join(&spec.path);
        let failed = |error| PortError::other(format!("storing {}: {error}", target.display()));
        file.flush().await.map_err(failed)?;
        let keep = {
            let target = target.clone();
            move || temp.persist(target).map_err(|error| error.error)
        };
        spawn_blocking(keep).await.map_err(std::io::Error::other).and_then(|kept| kept).map_err(failed)?;
        let logical_path = name::logical_path(outputs.prefix.as_deref(), &spec.path);
        let artifact = Artifact {
            name: spec.name.unwrap_or_else(|| name::derive(&logical_path, &outputs.task_id)),
            data_type: spec.data_type.unwrap_or_else(|| name::data_type(&spec.path)),
            id: spec.existing_id,
            logical_path,
            size,
            sha256: hex::encode(digest.finalize()),
        };
        let mut finished = outputs.finished.lock().unwrap_or_else(PoisonError::into_inner);
        finished.retain(|earlier| earlier.logical_path != artifact.logical_path);
        finished.push(artifact.clone());
        Ok(artifact)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_a_node_refuses_of_an_artifact_is_refused_here() {
        let dir = tempfile::tempdir().unwrap();
        let outputs = FileOutputs::new(dir.path().to_owned(), None, "task".to_owned());
        let spec = |name: &str, data_type: &str, id: Option<&str>| ArtifactSpec {
            path: "a.json".to_owned(),
            name: Some(name.to_owned()),
            data_type: Some(data_type.to_owned()),
            existing_id: id.map(str::to_owned),
            ..ArtifactSpec::default()
        };
        let long = "x".repeat(name::MAX_NAME_BYTES + 1);
        for (wrong, said) in [
            (spec("a/b", "json", None), "name holds '/'"),
            (spec("", "json", None), "name is empty"),
            (spec(&long, "json", None), "129 bytes"),
            (spec("a", "js*n", None), "data type holds '*'"),
            (spec("a", "json", Some("7")), "existing id `7` is not a UUID"),
        ] {
            let error = outputs.create(wrong).await.err().unwrap().to_string();
            assert!(error.contains(said), "{error}");
        }
        outputs.create(spec("a name", "json", None)).await.unwrap();
        let other = ArtifactSpec { path: "b.json".to_owned(), ..spec("a name", "json", None) };
        let error = outputs.create(other).await.err().unwrap().to_string();
        assert!(
            error.contains("`a.json` of this task has the name `a name` and the same type already"),
            "{error}"
        );
        outputs.create(spec("a name", "csv", None)).await.unwrap();
        outputs.create(spec("a name", "json", None)).await.unwrap();
        assert_eq!(
            std::fs::read_dir(dir.path()).unwrap().count(),
            0,
            "nothing of it was begun, or it was given up"
        );
    }
}
