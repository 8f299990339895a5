//! A node in memory, for tests of runners off wasm.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::{env, fs, process};

use crate::artifact::{ArtifactOptions, Stored};
use crate::error::{Error, Result};
use crate::input::PartInfo;
use crate::task::{Budget, LogLevel};

/// Bytes of artifacts that a test's task may write.
const OUTPUT_BYTES: u64 = 16 << 30;

/// Makes folders of tests that run at a time different.
static FOLDERS: AtomicU64 = AtomicU64::new(0);

/// What the node has and has been told.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) inputs: BTreeMap<String, Vec<(PartInfo, Vec<u8>)>>,
    /// How reading a CID fails after all its bytes but the last.
    pub(crate) failures: BTreeMap<String, Error>,
    pub(crate) artifacts: Vec<(Stored, Vec<u8>)>,
    pub(crate) unfinished: Vec<String>,
    pub(crate) progress: Vec<String>,
    pub(crate) events: Vec<String>,
    pub(crate) log: Vec<(LogLevel, String)>,
    pub(crate) is_cancelled: bool,
    /// Cancels once this progress was told.
    pub(crate) cancel_at: Option<f64>,
    /// Where parts are materialised, once one was.
    folder: Option<PathBuf>,
}

impl Drop for State {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            // What is left of a test in the system's folder for such files disturbs nobody.
            let _ = fs::remove_dir_all(folder);
        }
    }
}

/// A handle of the node.
#[derive(Debug, Clone, Default)]
pub(crate) struct Host(Rc<RefCell<State>>);

/// An opened CID.
#[derive(Debug)]
pub(crate) struct HostInput {
    host: Host,
    cid: String,
    next: usize,
}

/// A part.
#[derive(Debug)]
pub(crate) struct HostPart {
    host: Host,
    cid: String,
    index: usize,
    /// How much was read.
    at: RefCell<usize>,
}

/// An artifact that is being written.
#[derive(Debug)]
pub(crate) struct HostArtifact {
    host: Host,
    path: String,
    options: ArtifactOptions,
    bytes: Vec<u8>,
    is_finished: bool,
}

impl Host {
    pub(crate) fn new(state: State) -> Self {
        Self(Rc::new(RefCell::new(state)))
    }

    /// What the node has been told, taken out.
    pub(crate) fn into_state(self) -> State {
        std::mem::take(&mut *self.0.borrow_mut())
    }

    pub(crate) fn open(&self, cid: &str) -> Result<HostInput> {
        if !self.0.borrow().inputs.contains_key(cid) {
            return Err(Error::NotFound(format!("there is no input {cid}")));
        }
        Ok(HostInput { host: self.clone(), cid: cid.to_owned(), next: 0 })
    }

    pub(crate) fn create(&self, path: &str, options: &ArtifactOptions) -> Result<HostArtifact> {
        let is_relative = !path.is_empty() && path.split('/').all(|name| !matches!(name, "" | "." | ".."));
        if !is_relative {
            return Err(Error::InvalidCall(format!(
                "the path {path:?} of an artifact: it is relative, with names between its slashes"
            )));
        }
        Ok(HostArtifact {
            host: self.clone(),
            path: path.to_owned(),
            options: options.clone(),
            bytes: Vec::new(),
            is_finished: false,
        })
    }

    pub(crate) fn put_file(&self, path: &str, file: &str, options: &ArtifactOptions) -> Result<Stored> {
        let bytes = fs::read(file).map_err(|error| Error::NotFound(format!("the file {file}: {error}")))?;
        let mut artifact = self.create(path, options)?;
        artifact.write(&bytes)?;
        artifact.finish()
    }

    pub(crate) fn progress(&self, json: &str) {
        let mut state = self.0.borrow_mut();
        state.progress.push(json.to_owned());
        let told = serde_json::from_str::<serde_json::Value>(json).ok();
        let fraction = told.and_then(|told| told.get("progress")?.as_f64());
        if matches!((fraction, state.cancel_at), (Some(fraction), Some(at)) if fraction >= at) {
            state.is_cancelled = true;
        }
    }

    pub(crate) fn log_event(&self, json: &str) -> Result<(), String> {
        self.0.borrow_mut().events.push(json.to_owned());
        Ok(())
    }

    pub(crate) fn log(&self, level: LogLevel, message: &str) {
        self.0.borrow_mut().log.push((level, message.to_owned()));
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.0.borrow().is_cancelled
    }

    /// Does not wait: a test of a runner that sleeps need not take as long.
    pub(crate) fn wait_cancelled(&self, _timeout_ms: u64) -> bool {
        self.is_cancelled()
    }

    pub(crate) fn budget(&self) -> Budget {
        let written: u64 = self.0.borrow().artifacts.iter().map(|(stored, _)| stored.size).sum();
        Budget {
            memory_bytes: 512 << 20,
            scratch_bytes: 4 << 30,
            output_bytes_left: OUTPUT_BYTES.saturating_sub(written),
            time_left_ms: 600_000,
        }
    }

    /// A part's bytes, or its failure.
    fn part<T>(&self, cid: &str, index: usize, of: impl FnOnce(&PartInfo, &[u8]) -> Result<T>) -> Result<T> {
        let state = self.0.borrow();
        let part = state.inputs.get(cid).and_then(|parts| parts.get(index));
        let (info, bytes) =
            part.ok_or_else(|| Error::NotFound(format!("there is no part {index} of {cid}")))?;
        of(info, bytes)
    }

    /// The folder where parts are materialised.
    fn folder(&self) -> Result<PathBuf> {
        let mut state = self.0.borrow_mut();
        if let Some(folder) = &state.folder {
            return Ok(folder.clone());
        }
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let folder = env::temp_dir().join(format!("posemesh-runner-{}-{number}", process::id()));
        fs::create_dir_all(&folder)
            .map_err(|error| Error::PortFailed(format!("making {}: {error}", folder.display())))?;
        state.folder = Some(folder.clone());
        Ok(folder)
    }
}

impl HostInput {
    pub(crate) fn next_part(&mut self) -> Result<Option<HostPart>> {
        let index = self.next;
        let count = self.host.0.borrow().inputs.get(&self.cid).map_or(0, Vec::len);
        if index >= count {
            return Ok(None);
        }
        self.next += 1;
        let (host, cid) = (self.host.clone(), self.cid.clone());
        Ok(Some(HostPart { host, cid, index, at: RefCell::new(0) }))
    }
}

impl HostPart {
    pub(crate) fn info(&self) -> PartInfo {
        self.host.part(&self.cid, self.index, |info, _| Ok(info.clone())).unwrap_or_default()
    }

    pub(crate) fn read(&self, max_bytes: u32) -> Result<Vec<u8>> {
        let at = *self.at.borrow();
        let failure = self.host.0.borrow().failures.get(&self.cid).cloned();
        let bytes = self.host.part(&self.cid, self.index, |_, bytes| {
            // One that is to fail fails before its last byte.
            let end = bytes.len().saturating_sub(usize::from(failure.is_some()));
            let next = at.saturating_add(max_bytes as usize).min(end);
            Ok(bytes.get(at..next).unwrap_or_default().to_vec())
        })?;
        *self.at.borrow_mut() += bytes.len();
        match failure {
            Some(error) if bytes.is_empty() => Err(error),
            _ => Ok(bytes),
        }
    }

    pub(crate) fn read_at(&self, offset: u64, max_bytes: u32) -> Result<Vec<u8>> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX);
        self.host.part(&self.cid, self.index, |_, bytes| {
            let rest = bytes.get(from..).unwrap_or_default();
            Ok(rest.get(..max_bytes as usize).unwrap_or(rest).to_vec())
        })
    }

    pub(crate) fn materialise(&self) -> Result<String> {
        let folder = self.host.folder()?;
        self.host.part(&self.cid, self.index, |info, bytes| {
            let name: String = info
                .name
                .chars()
                .map(|c| if c.is_alphanumeric() || "._-".contains(c) { c } else { '_' })
                .collect();
            let file = folder.join(format!("{}-{name}", self.index));
            fs::write(&file, bytes)
                .map_err(|error| Error::PortFailed(format!("writing {}: {error}", file.display())))?;
            Ok(file.display().to_string())
        })
    }
}

impl HostArtifact {
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<Stored> {
        self.is_finished = true;
        let path = self.path.clone();
        let extension = path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map(|(_, end)| end);
        let stored = Stored {
            name: self.options.name.clone().unwrap_or_else(|| path.clone()),
            data_type: self.options.data_type.clone().or(extension.map(str::to_owned)).unwrap_or_default(),
            id: self.options.existing_id.clone(),
            size: self.bytes.len() as u64,
            logical_path: path,
        };
        let bytes = std::mem::take(&mut self.bytes);
        let mut state = self.host.0.borrow_mut();
        // The same path stored again replaces what was there.
        state.artifacts.retain(|(earlier, _)| earlier.logical_path != stored.logical_path);
        state.artifacts.push((stored.clone(), bytes));
        drop(state);
        Ok(stored)
    }
}

impl Drop for HostArtifact {
    fn drop(&mut self) {
        if !self.is_finished {
            self.host.0.borrow_mut().unfinished.push(self.path.clone());
        }
    }
}
