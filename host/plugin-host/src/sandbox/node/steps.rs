//! What is asked of something that a call has open, and the way back for the answers.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use bytes::Bytes;

use crate::sandbox::channel::ChannelEnd;
use crate::sandbox::wire::{Answer, AskId, CallId, Refusal, ToGuest};

/// Says what was answered.
#[derive(Clone)]
pub(super) struct Answers {
    pub(super) channel: Arc<ChannelEnd>,
    pub(super) call: CallId,
}

impl Answers {
    pub(super) async fn send(&self, ask: AskId, answer: Result<Answer, Refusal>) {
        let frame = ToGuest::Answer { call: self.call, ask, answer };
        // A process that is gone needs no answer.
        let _ = self.channel.send(&frame, &[] as &[BorrowedFd<'_>]).await;
    }
}

/// A step that is asked of an object.
#[derive(Debug)]
pub(super) enum Step {
    NextPart,
    Read { slot: u32, max: u32 },
    Write(Bytes),
    Finish,
}

/// Who asks, and for what.
pub(super) type Asked = (AskId, Step);
