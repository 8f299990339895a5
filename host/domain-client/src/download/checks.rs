//! Whether what came is what was asked for, and all of it.

use posemesh_domain_data::cid::{self, Query};
use posemesh_domain_data::disposition::Disposition;
use posemesh_domain_data::excerpt;
use posemesh_domain_data::multipart::{Ending, MultipartError};
use uuid::Uuid;

use super::super::error::StorageError;
use super::{Download, Stop};
use posemesh_runner_api::ports::PartInfo;

impl Download {
    /// Checks that a part is one that was asked for.
    pub(super) fn check_part(&self, head: Disposition) -> Result<(Uuid, PartInfo), Stop> {
        let id = cid::uuid(&head.id)
            .ok_or_else(|| inconsistent(format!("a part has the id `{}`, no UUID", excerpt(&head.id, 80))))?;
        if !self.query.ids.is_empty() && !self.query.ids.contains(&id) {
            return Err(inconsistent(format!("the server sent {id}, which was not asked for")));
        }
        let domain = self.access.lease.domain_id;
        if !head.domain_id.is_empty() && cid::uuid(&head.domain_id) != Some(domain) {
            let other = excerpt(&head.domain_id, 80);
            return Err(inconsistent(format!(
                "the server sent {id} of the domain `{other}`, not of {domain}"
            )));
        }
        let info = PartInfo {
            data_id: head.id,
            name: head.name,
            data_type: head.data_type,
            size: head.size,
            domain_id: domain.to_string(),
            created_at: head.created_at,
            updated_at: head.updated_at,
        };
        Ok((id, info))
    }

    /// Servers may take filters as patterns; only what equals them was meant.
    pub(super) fn is_wanted(&self, info: &PartInfo) -> bool {
        let fits =
            |filter: &Option<String>, value: &str| filter.as_deref().is_none_or(|filter| filter == value);
        fits(&self.query.name, &info.name) && fits(&self.query.data_type, &info.data_type)
    }

    /// Whether every id that the query lists came, so that nothing can be missing.
    pub(super) fn everything_came(&self) -> bool {
        let Query { ids, name, data_type } = &self.query;
        let exact = !ids.is_empty() && name.is_none() && data_type.is_none();
        exact && self.current.is_none() && ids.iter().all(|id| self.done.contains(id))
    }

    pub(super) fn check_end(&self, ending: Ending) -> Result<(), Stop> {
        if self.everything_came() {
            return Ok(());
        }
        if ending == Ending::Open {
            return Err(MultipartError::Truncated("after a part, before the closing boundary").into());
        }
        if self.current.is_some() {
            return Err(inconsistent("a part was gone when it was taken up again after a cut".to_owned()));
        }
        let Query { ids, name, data_type } = &self.query;
        let missing = ids.iter().find(|id| !self.done.contains(id));
        match missing {
            Some(id) if name.is_none() && data_type.is_none() => {
                Err(StorageError::NoSuchData(format!("the server sent nothing for the id {id}")).into())
            }
            _ if self.done.is_empty() => {
                Err(StorageError::NoSuchData("the server sent no part for the input's CID".to_owned()).into())
            }
            _ => Ok(()),
        }
    }
}

/// The answer contradicts itself, the query or an earlier answer.
pub(super) fn inconsistent(why: String) -> Stop {
    Stop::Failed(StorageError::Inconsistent(why))
}
