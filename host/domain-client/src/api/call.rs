//! One request as data, so that it can be repeated.

use std::time::Duration;

use reqwest::Method;
use url::Url;

use crate::api::payload::Payload;

/// Bytes of a small answer: a few ids and numbers.
const SMALL_ANSWER: usize = 64 << 10;

/// A request to a domain server.
#[derive(Debug)]
pub(crate) struct ApiCall {
    /// What the request does, for errors: `storing an artifact`.
    pub(crate) what: &'static str,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) accept: Option<&'static str>,
    pub(crate) content_type: Option<String>,
    pub(crate) payload: Option<Payload>,
    /// Whether the request carries the task token and the client id (all but `info` do).
    pub(crate) authorised: bool,
    /// Whether the task can do without: how the call goes says nothing of what the task waits for.
    pub(crate) is_optional: bool,
    /// Fewer attempts than the retry policy has.
    pub(crate) max_attempts: Option<u32>,
    /// Time for the head of the answer, in place of the settings' `first_byte_timeout`.
    pub(crate) first_byte_timeout: Option<Duration>,
    /// Bytes that a small answer may have.
    pub(crate) max_answer_bytes: usize,
}

impl ApiCall {
    pub(crate) fn new(what: &'static str, method: Method, url: Url) -> Self {
        Self {
            what,
            method,
            url,
            accept: None,
            content_type: None,
            payload: None,
            authorised: true,
            is_optional: false,
            max_attempts: None,
            first_byte_timeout: None,
            max_answer_bytes: SMALL_ANSWER,
        }
    }

    pub(crate) fn accept(self, accept: &'static str) -> Self {
        Self { accept: Some(accept), ..self }
    }

    pub(crate) fn body(self, content_type: impl Into<String>, payload: Payload) -> Self {
        Self { content_type: Some(content_type.into()), payload: Some(payload), ..self }
    }

    pub(crate) fn unauthorised(self) -> Self {
        Self { authorised: false, ..self }
    }

    pub(crate) fn optional(self) -> Self {
        Self { is_optional: true, ..self }
    }

    pub(crate) fn first_byte_timeout(self, timeout: Duration) -> Self {
        Self { first_byte_timeout: Some(timeout), ..self }
    }

    pub(crate) fn max_answer_bytes(self, max_answer_bytes: usize) -> Self {
        Self { max_answer_bytes, ..self }
    }

    pub(crate) fn max_attempts(self, attempts: u32) -> Self {
        Self { max_attempts: Some(attempts), ..self }
    }
}
