//! What a failed registration means for the next one (protocol 1.4).

use crate::auth::dds::DdsError;

/// How to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Another live node has this identity: wait an interval.
    Conflict,
    /// The network or DDS in trouble: back off.
    Retryable,
    /// Something that only people can mend: wait an interval.
    SlowRetry,
}

/// Sorts a failure of the nonce call or of the registration call.
pub fn classify(error: &DdsError) -> Class {
    match error.status() {
        Some(status) if status.as_u16() == 409 => Class::Conflict,
        _ if error.is_transient() => Class::Retryable,
        _ => Class::SlowRetry,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use reqwest::StatusCode;

    use super::*;
    use crate::auth::dds::DdsCall;

    #[test]
    fn every_row_of_the_protocol() {
        for (class, statuses) in [
            (Class::Conflict, &[409_u16][..]),
            (Class::Retryable, &[408, 429, 500, 501, 502, 503, 504, 599]),
            (Class::SlowRetry, &[300, 302, 400, 401, 403, 404, 405, 410, 413, 422, 451]),
        ] {
            for status in statuses {
                for call in [DdsCall::Nonce, DdsCall::RegisterWallet] {
                    let status = StatusCode::from_u16(*status).unwrap();
                    let error = DdsError::Status { call, status, excerpt: String::new() };
                    assert_eq!(classify(&error), class, "{status}");
                }
            }
        }
        let call = DdsCall::Nonce;
        assert_eq!(classify(&DdsError::Transport { call, cause: "timed out".into() }), Class::Retryable);
        assert_eq!(classify(&DdsError::Answer { call, what: "not JSON".into() }), Class::Retryable);
        assert_eq!(classify(&DdsError::Sign("zero".into())), Class::SlowRetry);
    }
}
