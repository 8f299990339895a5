//! Whether what comes is what was asked for, and all of it.

use posemesh_domain_data::cid::{self, DataQuery};
use posemesh_domain_data::disposition::Disposition;
use posemesh_runner_api::ports::PartInfo;
use posemesh_text::one_line;
use uuid::Uuid;

use crate::api::error::DomainError;
use crate::download::pass_error::PassError;

/// Checks that a part is one that the query asks for, in the lease's domain.
pub(super) fn check_part(
    query: &DataQuery,
    domain: Uuid,
    head: Disposition,
) -> Result<(Uuid, PartInfo), PassError> {
    let Some(id) = cid::hyphenated_uuid(&head.id) else {
        return Err(PassError::inconsistent(format!(
            "a part has the id `{}`, no UUID",
            one_line(&head.id, 80)
        )));
    };
    // Without ids the query goes by name or type, and any id may be the right one.
    if !query.ids.is_empty() && !query.ids.contains(&id) {
        return Err(PassError::inconsistent(format!("the server sent {id}, which was not asked for")));
    }
    // A server may leave the domain out; if it names one, another domain's data must not reach the runner.
    if !head.domain_id.is_empty() && cid::hyphenated_uuid(&head.domain_id) != Some(domain) {
        // Text of the server goes into an error: kept short, and on one line.
        let other = one_line(&head.domain_id, 80);
        return Err(PassError::inconsistent(format!(
            "the server sent {id} of the domain `{other}`, not of {domain}"
        )));
    }
    let info = PartInfo {
        data_id: head.id,
        name: head.name,
        data_type: head.data_type,
        size: head.size,
        // The lease's domain, not the server's text, which may be empty.
        domain_id: domain.to_string(),
        created_at: head.created_at,
        updated_at: head.updated_at,
    };
    Ok((id, info))
}

/// Whether a part passes the query's filters. Servers may treat filters as patterns; only what equals them was meant.
pub(super) fn passes_filters(query: &DataQuery, info: &PartInfo) -> bool {
    let passes =
        |filter: &Option<String>, value: &str| filter.as_deref().is_none_or(|filter| filter == value);
    passes(&query.name, &info.name) && passes(&query.data_type, &info.data_type)
}

/// Whether every id that the query lists came, so that no part can be missing.
pub(super) fn is_all(query: &DataQuery, delivered: &[Uuid]) -> bool {
    is_exact(query) && query.ids.iter().all(|id| delivered.contains(id))
}

/// Checks that the parts of a closed answer are all that the query asks for.
pub(super) fn check_all(query: &DataQuery, delivered: &[Uuid]) -> Result<(), DomainError> {
    let missing = query.ids.iter().find(|id| !delivered.contains(id));
    match missing {
        Some(id) if is_exact(query) => {
            Err(DomainError::NoSuchData(format!("the server sent nothing for the id {id}")))
        }
        // A query by filters cannot say how much it expects, but nothing at all is never an input.
        _ if delivered.is_empty() => {
            Err(DomainError::NoSuchData("the server sent no part for the input's CID".to_owned()))
        }
        _ => Ok(()),
    }
}

/// Whether the query names each part that it wants. A filter may leave ids out.
fn is_exact(query: &DataQuery) -> bool {
    !query.ids.is_empty() && query.name.is_none() && query.data_type.is_none()
}
