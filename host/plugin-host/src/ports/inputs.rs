//! The input port of a runner: what its task names, within its limits.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use posemesh_domain_data::cid::{CidError, MAX_CID_BYTES};
use posemesh_runner_api::ports::{InputPort, PartInfo, PartStream, PortError};
use posemesh_text::one_line;

use crate::manifest::data_scope::DataScope;
use crate::ports::budget::InputBudget;
use crate::ports::named::{Asked, NamedData};

/// How much of a CID an error shows, in bytes.
const MAX_SHOWN: usize = 120;

/// Inputs that are opened only as far as the operator allows.
pub(super) struct GuardedInputs {
    inner: Arc<dyn InputPort>,
    named: Arc<NamedData>,
    budget: Arc<InputBudget>,
    scope: DataScope,
}

impl GuardedInputs {
    pub(super) fn new(
        inner: Arc<dyn InputPort>,
        named: Arc<NamedData>,
        budget: Arc<InputBudget>,
        scope: DataScope,
    ) -> Self {
        Self { inner, named, budget, scope }
    }

    /// Whether the task names what a CID stands for, if it may be opened.
    fn check(&self, cid: &str) -> Result<bool, PortError> {
        match (self.scope, self.named.asked(cid)) {
            (_, Asked::Named) => Ok(true),
            (DataScope::Domain, _) => Ok(false),
            (DataScope::Task, Asked::Refused(error)) => Err(refused(&error)),
            (DataScope::Task, Asked::Other) => Err(PortError::denied(format!(
                "the task does not name the input {}; the operator allows any data of its domain by inputs = \
                 \"domain\" in NAME.toml",
                one_line(cid, MAX_SHOWN)
            ))),
        }
    }
}

/// Whether a CID is as short as it must be.
///
/// # Errors
/// When it is not.
pub(crate) fn check_length(cid: &str) -> Result<(), PortError> {
    match cid.len() {
        ..=MAX_CID_BYTES => Ok(()),
        bytes => Err(refused(&CidError::TooLong(bytes))),
    }
}

fn refused(error: &CidError) -> PortError {
    let text = error.to_string();
    if error.is_refusal() { PortError::denied(text) } else { PortError::invalid(text) }
}

#[async_trait]
impl InputPort for GuardedInputs {
    async fn open(&self, cid: &str) -> Result<Box<dyn PartStream>, PortError> {
        // Before anything is made of it, whatever the scope.
        check_length(cid)?;
        // Only what is requested is counted.
        let is_named = self.check(cid)?;
        self.budget.request()?;
        let (inputs, bytes) = self.budget.left();
        self.inner.within(inputs, bytes);
        let inner = self.inner.open(cid).await?;
        let (named, budget) = (is_named.then(|| self.named.clone()), self.budget.clone());
        Ok(Box::new(GuardedParts { inner, named, budget, rest: 0, failed: None }))
    }

    fn unanswered(&self) -> Option<PortError> {
        self.inner.unanswered()
    }
}

/// The parts of an input, whose bytes are counted.
struct GuardedParts {
    inner: Box<dyn PartStream>,
    /// Where the parts are remembered, if the task names the input. What only the scope opens stays somebody else's: the
    /// runner may read it, not replace it.
    named: Option<Arc<NamedData>>,
    budget: Arc<InputBudget>,
    /// Bytes of the current part that were not read yet.
    rest: u64,
    failed: Option<PortError>,
}

impl GuardedParts {
    fn count(&mut self, bytes: u64) -> Result<(), PortError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.budget.bytes(bytes).inspect_err(|error| self.failed = Some(error.clone()))
    }

    fn meet(&self, part: &PartInfo) {
        if let Some(named) = &self.named {
            named.meet(&part.data_id);
        }
    }
}

#[async_trait]
impl PartStream for GuardedParts {
    async fn next_part(&mut self) -> Result<Option<PartInfo>, PortError> {
        // What is skipped comes over the network like what is read.
        self.count(self.rest)?;
        let part = self.inner.next_part().await?;
        self.rest = part.as_ref().map_or(0, |part| part.size);
        if let Some(part) = &part {
            self.meet(part);
        }
        Ok(part)
    }

    async fn read(&mut self, max_bytes: usize) -> Result<Bytes, PortError> {
        self.count(0)?;
        let bytes = self.inner.read(max_bytes).await?;
        self.count(bytes.len() as u64)?;
        self.rest = self.rest.saturating_sub(bytes.len() as u64);
        Ok(bytes)
    }

    fn whole(&mut self, most: u64) -> Option<(PartInfo, Bytes)> {
        // One that passes the limit is read step by step, so that it fails where it would have.
        let (_, left) = self.budget.left();
        let (part, bytes) = self.inner.whole(most.min(left))?;
        // Another input of the task may have been faster: then this one is the first to pass the limit by a part.
        let _ = self.count(bytes.len() as u64);
        self.meet(&part);
        Some((part, bytes))
    }
}

#[cfg(test)]
mod tests;
