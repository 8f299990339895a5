//! What a failed registration means for the next one (protocol 1.4).

use crate::auth::dds::DdsError;

/// How the registration goes on after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RegistrationFailure {
    /// Another live node has this identity: wait an interval.
    Conflict,
    /// The network or DDS in trouble: back off.
    Retryable,
    /// Something that only people can mend: wait an interval.
    SlowRetry,
}

impl RegistrationFailure {
    /// One word, for metrics.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Conflict => "conflict",
            Self::Retryable => "transient",
            Self::SlowRetry => "refused",
        }
    }
}

/// Sorts a failure of the nonce call or of the registration call.
pub(super) fn classify(error: &DdsError) -> RegistrationFailure {
    match error.status() {
        // Longer and longer waits would not help: the identity is free as soon as the other node has gone.
        Some(status) if status.as_u16() == 409 => RegistrationFailure::Conflict,
        _ if error.is_transient() => RegistrationFailure::Retryable,
        _ => RegistrationFailure::SlowRetry,
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
        for (failure, statuses) in [
            (RegistrationFailure::Conflict, &[409_u16][..]),
            (RegistrationFailure::Retryable, &[408, 429, 500, 501, 502, 503, 504, 599]),
            (RegistrationFailure::SlowRetry, &[300, 302, 400, 401, 403, 404, 405, 410, 413, 422, 451]),
        ] {
            for status in statuses {
                for call in [DdsCall::Nonce, DdsCall::RegisterWallet] {
                    let status = StatusCode::from_u16(*status).unwrap();
                    let error = DdsError::Status { call, status, excerpt: String::new(), retry_after: None };
                    assert_eq!(classify(&error), failure, "{status}");
                }
            }
        }
        let call = DdsCall::Nonce;
        assert_eq!(
            classify(&DdsError::Transport { call, cause: "timed out".into() }),
            RegistrationFailure::Retryable
        );
        assert_eq!(
            classify(&DdsError::Answer { call, what: "not JSON".into() }),
            RegistrationFailure::Retryable
        );
        assert_eq!(classify(&DdsError::Sign("zero".into())), RegistrationFailure::SlowRetry);
    }
}
