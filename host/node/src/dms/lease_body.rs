//! The body of a granted lease, and what can be saved of one that can't be read (protocol 3.3).

use bytes::{Bytes, BytesMut};
use posemesh_net::http::{BodyError, MAX_JSON_BODY, cause};
use reqwest::Response;
use uuid::Uuid;

use crate::dms::wire::TaskIdSearch;

/// How far into a lease that is too large the task's id is looked for. Nothing of it is kept, so that it costs time
/// and no memory; the request timeout holds as well.
const LONGEST_SEARCH: usize = 64 << 20;

/// What arrived of a lease.
pub(super) enum LeaseBody {
    /// All of it.
    Whole(Bytes),
    /// Too much, or not to its end.
    Broken {
        /// The task's id, if it was found in what arrived.
        task_id: Option<Uuid>,
        /// Why there is no more.
        error: BodyError,
    },
}

/// Reads a lease. One that is too large is searched for the task's id all the same: without it the task could not be
/// failed, and would wait out its TTL, on each node in turn.
pub(super) async fn read_lease_body(mut response: Response) -> LeaseBody {
    // Grows with what comes: a length that the server merely claims must not allocate memory.
    let mut body = BytesMut::new();
    let mut search: Option<TaskIdSearch> = None;
    let mut length = 0_usize;
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                length = length.saturating_add(chunk.len());
                if length <= MAX_JSON_BODY {
                    body.extend_from_slice(&chunk);
                    continue;
                }
                let search = search.get_or_insert_with(TaskIdSearch::default);
                search.feed(&std::mem::take(&mut body));
                search.feed(&chunk);
                if search.is_over() || length > LONGEST_SEARCH {
                    let error = BodyError::TooLarge(MAX_JSON_BODY);
                    return LeaseBody::Broken { task_id: search.found(), error };
                }
            }
            Ok(None) => {
                return match search {
                    None => LeaseBody::Whole(body.freeze()),
                    Some(search) => {
                        let error = BodyError::TooLarge(MAX_JSON_BODY);
                        LeaseBody::Broken { task_id: search.found(), error }
                    }
                };
            }
            Err(error) => {
                let mut search = search.unwrap_or_default();
                search.feed(&body);
                let error = BodyError::Transport(cause(&error));
                return LeaseBody::Broken { task_id: search.found(), error };
            }
        }
    }
}
