//! Which data a task has to do with: what its CIDs stand for, what it was given when it opened them (not what it was given
//! of other data, which an operator may let it read), and what it has stored itself.

use std::collections::{BTreeSet, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use posemesh_domain_data::cid::{CidError, DataQuery, hyphenated_uuid};
use posemesh_runner_api::task::Task;
use url::Url;
use uuid::Uuid;

/// The most ids that are remembered of what a task was given and has stored. Each takes some 30 bytes for as long as the
/// task runs; whoever needs more opens the CIDs that the task names.
const MAX_MET: usize = 65_536;

/// The data of one task.
#[derive(Debug)]
pub(super) struct NamedData {
    /// The task's CIDs as they are written: where inputs are files, they need not be CIDs of a domain.
    texts: BTreeSet<String>,
    /// What those that are CIDs of the task's domain stand for.
    queries: Vec<DataQuery>,
    domain: Option<Uuid>,
    /// Ids of parts of CIDs that the task names, as it was given them, and of artifacts that it stored.
    met: Mutex<HashSet<Uuid>>,
}

/// What a CID asks for, seen from the task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// Only data that the task has to do with.
    Named,
    /// Other data, or perhaps other data.
    Other,
    /// It can't be read as a CID of the task's domain.
    Refused(CidError),
}

impl NamedData {
    pub(super) fn of(task: &Task) -> Self {
        let queries = task.inputs_cids.iter().filter_map(|cid| parse(cid, task.domain_id).ok()).collect();
        Self {
            texts: task.inputs_cids.iter().map(|cid| cid.trim().to_owned()).collect(),
            queries,
            domain: task.domain_id,
            met: Mutex::default(),
        }
    }

    /// What a CID asks for. Compared is what it stands for (protocol 6.4): server, order, and spelling do not matter, and
    /// a part of what the task names is named too.
    pub(super) fn asked(&self, cid: &str) -> Asked {
        if self.texts.contains(cid.trim()) {
            return Asked::Named;
        }
        match parse(cid, self.domain) {
            Ok(query) if self.covers(&query) => Asked::Named,
            Ok(_) => Asked::Other,
            // Without a domain inputs are files, and none of the task's has this name.
            Err(_) if self.domain.is_none() => Asked::Other,
            Err(error) => Asked::Refused(error),
        }
    }

    /// Whether the task has to do with the data of this id.
    pub(super) fn has(&self, id: &str) -> bool {
        match hyphenated_uuid(id) {
            Some(id) => self.has_id(id, None, None),
            None => self.texts.contains(id),
        }
    }

    /// Remembers data that the task was given or has stored.
    pub(super) fn meet(&self, id: &str) {
        if let Some(id) = hyphenated_uuid(id) {
            let mut met = self.met();
            if met.len() < MAX_MET {
                met.insert(id);
            }
        }
    }

    fn covers(&self, asked: &DataQuery) -> bool {
        let (name, data_type) = (asked.name.as_deref(), asked.data_type.as_deref());
        if asked.ids.is_empty() {
            // Without ids it stands for whatever has that name and type, which only a CID without ids can name.
            return self.queries.iter().any(|named| named.ids.is_empty() && passes(named, name, data_type));
        }
        asked.ids.iter().all(|id| self.has_id(*id, name, data_type))
    }

    fn has_id(&self, id: Uuid, name: Option<&str>, data_type: Option<&str>) -> bool {
        let named = |named: &DataQuery| {
            (named.ids.is_empty() || named.ids.contains(&id)) && passes(named, name, data_type)
        };
        self.queries.iter().any(named) || self.met().contains(&id)
    }

    fn met(&self) -> MutexGuard<'_, HashSet<Uuid>> {
        // Nothing panics while the lock is held; if something did, the set is still whole.
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether whatever has this name and type also passes the filters of a CID that the task names.
fn passes(named: &DataQuery, name: Option<&str>, data_type: Option<&str>) -> bool {
    let passes = |filter: &Option<String>, given: Option<&str>| {
        filter.as_deref().is_none_or(|filter| given == Some(filter))
    };
    passes(&named.name, name) && passes(&named.data_type, data_type)
}

/// Reads a CID as the domain client will. Of a URL only path and query count, so that any server serves as the base.
fn parse(cid: &str, domain: Option<Uuid>) -> Result<DataQuery, CidError> {
    let base = Url::parse("http://server.invalid/").map_err(|error| CidError::BadUrl(error.to_string()))?;
    DataQuery::parse(cid, &base, domain.unwrap_or_default())
}

#[cfg(test)]
mod tests;
