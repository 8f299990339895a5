//! What a download has delivered, and what of the next answer is still to be delivered.
//!
//! After a cut the same data is asked for once more. Bytes that were delivered already are not delivered again, but
//! hashed: the rest is delivered only if they are the same bytes.

use bytes::Bytes;
use posemesh_domain_data::cid::DataQuery;
use posemesh_domain_data::disposition::Disposition;
use posemesh_domain_data::multipart::{BodyEnd, MultipartError};
use posemesh_runner_api::ports::PartInfo;
use posemesh_text::one_line;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::digest::RunningDigest;
use crate::download::checks::{check_all, check_part, is_all, passes_filters};
use crate::download::pass_error::PassError;

/// The state of one download over all its passes. Knows neither the network nor the runner's side.
pub(super) struct DownloadProgress {
    query: DataQuery,
    domain: Uuid,
    /// For logs.
    task_id: Uuid,
    /// The part that is being delivered; kept over a cut.
    current: Option<CurrentPart>,
    /// Ids of the parts that were delivered completely.
    done: Vec<Uuid>,
    /// Ids of the parts that came in the current pass.
    seen: Vec<Uuid>,
    mode: PartMode,
    delivered_bytes: u64,
}

struct CurrentPart {
    id: Uuid,
    info: PartInfo,
    delivered: u64,
    digest: RunningDigest,
}

/// What to do with the bytes of the part that comes.
enum PartMode {
    /// Nothing: the part was delivered before a cut, or the query does not name it.
    Skip,
    /// Compare: the next `left` bytes were delivered before a cut.
    Verify {
        left: u64,
        hash: Sha256,
    },
    Deliver,
}

impl DownloadProgress {
    pub(super) fn new(query: DataQuery, domain: Uuid, task_id: Uuid) -> Self {
        Self {
            query,
            domain,
            task_id,
            current: None,
            done: Vec::new(),
            seen: Vec::new(),
            mode: PartMode::Skip,
            delivered_bytes: 0,
        }
    }

    /// Bytes that were handed out for delivery so far.
    pub(super) fn delivered_bytes(&self) -> u64 {
        self.delivered_bytes
    }

    /// Begins another pass, and returns the query without the ids that are done.
    pub(super) fn begin_pass(&mut self) -> DataQuery {
        // A part may come once in each answer; only twice in the same one is a contradiction.
        self.seen.clear();
        let ids = self.query.ids.iter().filter(|id| !self.done.contains(id)).copied().collect();
        DataQuery { ids, ..self.query.clone() }
    }

    /// A part begins. Returns it if it is to be announced.
    pub(super) fn begin_part(&mut self, head: Disposition) -> Result<Option<PartInfo>, PassError> {
        let (id, info) = check_part(&self.query, self.domain, head)?;
        if self.seen.contains(&id) {
            return Err(PassError::inconsistent(format!("the part {id} came twice")));
        }
        self.seen.push(id);
        if self.done.contains(&id) {
            self.mode = PartMode::Skip;
            return Ok(None);
        }
        if !passes_filters(&self.query, &info) {
            tracing::debug!(
                task_id = %self.task_id, %id, "skipping data whose name or type only resembles the query's"
            );
            self.mode = PartMode::Skip;
            return Ok(None);
        }
        let Some(current) = &self.current else {
            tracing::debug!(
                task_id = %self.task_id, %id, size = info.size, name = %one_line(&info.name, 80),
                data_type = %one_line(&info.data_type, 80), "downloading a part"
            );
            self.current =
                Some(CurrentPart { id, info: info.clone(), delivered: 0, digest: RunningDigest::default() });
            self.mode = PartMode::Deliver;
            return Ok(Some(info));
        };
        // The part that was cut has to come before any new one: the runner has its head and awaits its bytes.
        if current.id != id {
            return Err(PassError::inconsistent("other data came when it was taken up again after a cut"));
        }
        // The runner has the first part of an older version; the rest of a newer one would corrupt it silently.
        if current.info.size != info.size || current.info.updated_at != info.updated_at {
            return Err(PassError::inconsistent(format!(
                "the part {id} changed between a cut and the next try"
            )));
        }
        self.mode = PartMode::Verify { left: current.delivered, hash: Sha256::new() };
        Ok(None)
    }

    /// Bytes of the part. Returns those that are to be delivered.
    pub(super) async fn data(&mut self, mut bytes: Bytes) -> Result<Bytes, PassError> {
        let Some(current) = &mut self.current else { return Ok(Bytes::new()) };
        if let PartMode::Verify { left, hash } = &mut self.mode {
            let known = bytes.split_to(usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len()));
            hash.update(&known);
            *left -= known.len() as u64;
            if *left == 0 {
                if hash.finalize_reset()[..] != current.digest.value().await? {
                    return Err(PassError::inconsistent(format!(
                        "the bytes of {} changed after a cut",
                        current.id
                    )));
                }
                self.mode = PartMode::Deliver;
            }
        }
        if !matches!(self.mode, PartMode::Deliver) {
            return Ok(Bytes::new());
        }
        current.digest.add(bytes.clone()).await?;
        current.delivered += bytes.len() as u64;
        self.delivered_bytes += bytes.len() as u64;
        Ok(bytes)
    }

    /// The part is complete. Returns it with its SHA-256 if it was delivered, or `None` if it was skipped.
    pub(super) async fn end_part(&mut self) -> Result<Option<(PartInfo, String)>, PassError> {
        // `current` may be another part, one that was cut and has not come again yet: it must stay.
        if matches!(self.mode, PartMode::Skip) {
            return Ok(None);
        }
        let Some(mut current) = self.current.take() else { return Ok(None) };
        self.done.push(current.id);
        Ok(Some((current.info, current.digest.hex().await?)))
    }

    /// Whether nothing can be missing any more, however the answer ends.
    pub(super) fn is_complete(&self) -> bool {
        self.current.is_none() && is_all(&self.query, &self.done)
    }

    /// The answer has ended. Checks that it was the whole answer.
    pub(super) fn end_pass(&self, end: BodyEnd) -> Result<(), PassError> {
        if self.is_complete() {
            return Ok(());
        }
        // Without the closing boundary more parts may have been on their way, so this is a cut, not an end.
        if end == BodyEnd::Open {
            return Err(MultipartError::Truncated("after a part, before the closing boundary").into());
        }
        if self.current.is_some() {
            return Err(PassError::inconsistent("a part was gone when it was taken up again after a cut"));
        }
        Ok(check_all(&self.query, &self.done)?)
    }
}
