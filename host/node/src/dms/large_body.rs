//! Answers that are larger than what is kept: what matters in them is looked for while they pass.

use bytes::{Bytes, BytesMut};
use posemesh_net::http::{BodyError, MAX_JSON_BODY, cause};
use reqwest::Response;

/// How far into an answer that is too large is looked. Nothing of it is kept, so that it costs time and no memory; the
/// request timeout holds as well.
const LONGEST_SCAN: usize = 64 << 20;

/// Looks at bytes that are not kept.
pub(super) trait Scan: Default {
    /// Looks at the next ones.
    fn feed(&mut self, piece: &[u8]);

    /// Whether nothing that may follow is of interest.
    fn is_over(&self) -> bool;
}

/// What arrived of an answer.
pub(super) enum LargeBody<S> {
    /// All of it.
    Whole(Bytes),
    /// Too much, or not to its end.
    Broken {
        /// What was seen in what arrived.
        scan: S,
        /// Why there is no more.
        error: BodyError,
    },
}

/// Reads an answer; one that is too large or ends early is looked at by `S`.
pub(super) async fn read_or_scan<S: Scan>(mut response: Response) -> LargeBody<S> {
    let too_large = || BodyError::TooLarge(MAX_JSON_BODY);
    // Grows with what comes: a length that the server merely claims must not allocate memory.
    let mut body = BytesMut::new();
    let mut scan: Option<S> = None;
    let mut length = 0_usize;
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => {
                length = length.saturating_add(chunk.len());
                if length <= MAX_JSON_BODY {
                    body.extend_from_slice(&chunk);
                    continue;
                }
                let mut looking = scan.take().unwrap_or_default();
                looking.feed(&std::mem::take(&mut body));
                looking.feed(&chunk);
                if looking.is_over() || length > LONGEST_SCAN {
                    return LargeBody::Broken { scan: looking, error: too_large() };
                }
                scan = Some(looking);
            }
            Ok(None) => {
                return match scan {
                    None => LargeBody::Whole(body.freeze()),
                    Some(scan) => LargeBody::Broken { scan, error: too_large() },
                };
            }
            Err(error) => {
                let mut scan = scan.unwrap_or_default();
                scan.feed(&body);
                return LargeBody::Broken { scan, error: BodyError::Transport(cause(&error)) };
            }
        }
    }
}
