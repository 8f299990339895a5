//! Ports in memory: the smallest that a runner can be given.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use async_trait::async_trait;
use bytes::Bytes;
use posemesh_runner_api::ports::{
    Artifact, ArtifactSpec, ArtifactWriter, InputPort, OutputPort, PartInfo, PartStream, PortError,
};
use sha2::{Digest as _, Sha256};

/// Files by name; each is an input of one part.
pub(crate) struct MemoryInputs(BTreeMap<String, Bytes>);

impl MemoryInputs {
    pub(crate) fn read(files: &[PathBuf]) -> anyhow::Result<Self> {
        let mut inputs = BTreeMap::new();
        for file in files {
            let name = file.file_name().with_context(|| format!("{} is no file", file.display()))?;
            let bytes = std::fs::read(file).with_context(|| format!("reading {}", file.display()))?;
            inputs.insert(name.to_string_lossy().into_owned(), bytes.into());
        }
        Ok(Self(inputs))
    }

    pub(crate) fn cids(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}

#[async_trait]
impl InputPort for MemoryInputs {
    async fn open(&self, cid: &str) -> Result<Box<dyn PartStream>, PortError> {
        let bytes =
            self.0.get(cid).ok_or_else(|| PortError::not_found(format!("there is no input {cid}")))?;
        let info = PartInfo {
            data_id: cid.to_owned(),
            name: cid.to_owned(),
            data_type: cid.rsplit_once('.').map_or("bin", |(_, extension)| extension).to_owned(),
            size: bytes.len() as u64,
            domain_id: String::new(),
            created_at: None,
            updated_at: None,
        };
        Ok(Box::new(OnePart { info: Some(info), left: bytes.clone() }))
    }
}

struct OnePart {
    info: Option<PartInfo>,
    left: Bytes,
}

#[async_trait]
impl PartStream for OnePart {
    async fn next_part(&mut self) -> Result<Option<PartInfo>, PortError> {
        Ok(self.info.take())
    }

    async fn read(&mut self, max_bytes: usize) -> Result<Bytes, PortError> {
        Ok(self.left.split_to(max_bytes.min(self.left.len())))
    }
}

/// Artifacts that are counted and hashed, and then forgotten.
#[derive(Clone, Default)]
pub(crate) struct MemoryOutputs(Arc<Mutex<Vec<Artifact>>>);

#[async_trait]
impl OutputPort for MemoryOutputs {
    async fn create(&self, spec: ArtifactSpec) -> Result<Box<dyn ArtifactWriter>, PortError> {
        Ok(Box::new(MemoryArtifact { spec, bytes: Vec::new(), outputs: self.clone() }))
    }

    fn finished(&self) -> Vec<Artifact> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

struct MemoryArtifact {
    spec: ArtifactSpec,
    bytes: Vec<u8>,
    outputs: MemoryOutputs,
}

#[async_trait]
impl ArtifactWriter for MemoryArtifact {
    async fn write(&mut self, bytes: Bytes) -> Result<(), PortError> {
        self.bytes.extend_from_slice(&bytes);
        Ok(())
    }

    async fn finish(self: Box<Self>) -> Result<Artifact, PortError> {
        let artifact = Artifact {
            name: self.spec.name.unwrap_or_else(|| self.spec.path.clone()),
            data_type: self.spec.data_type.unwrap_or_else(|| "bin".to_owned()),
            logical_path: self.spec.path,
            id: None,
            size: self.bytes.len() as u64,
            sha256: Sha256::digest(&self.bytes).iter().map(|byte| format!("{byte:02x}")).collect(),
        };
        self.outputs.0.lock().unwrap_or_else(PoisonError::into_inner).push(artifact.clone());
        Ok(artifact)
    }
}
