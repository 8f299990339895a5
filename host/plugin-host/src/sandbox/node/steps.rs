//! What is asked of something that a call has open, and the way back for the answers.

use std::collections::HashMap;
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use posemesh_runner_api::ports::PortError;
use tokio::sync::mpsc;

use crate::sandbox::channel::ChannelEnd;
use crate::sandbox::wire::{Answer, AskId, CallId, Refusal, ToGuest};

/// Says what was answered, and knows what was not yet. Clones share.
#[derive(Clone)]
pub(super) struct Answers {
    channel: Arc<ChannelEnd>,
    call: CallId,
    owed: Arc<Mutex<HashMap<AskId, Owed>>>,
}

/// An ask that has no answer yet.
#[derive(Debug)]
struct Owed {
    /// What it is asked of, by the ask that opened it.
    object: AskId,
    /// The slot that its process keeps for it.
    slot: Option<u32>,
}

impl Answers {
    pub(super) fn new(channel: Arc<ChannelEnd>, call: CallId) -> Self {
        Self { channel, call, owed: Arc::default() }
    }

    /// Notes an ask that will be answered.
    ///
    /// # Errors
    /// When an honest process would not ask that now, in words. So no more asks name slots than there are slots.
    pub(super) fn owe(&self, ask: AskId, object: AskId, slot: Option<u32>) -> Result<(), String> {
        let mut owed = self.owed();
        if slot.is_some() && owed.values().any(|other| other.slot == slot) {
            return Err("it names a slot for two asks at a time".to_owned());
        }
        match owed.insert(ask, Owed { object, slot }) {
            Some(_) => Err("it numbers two asks alike".to_owned()),
            None => Ok(()),
        }
    }

    /// Answers an ask, unless it was answered.
    pub(super) async fn send(&self, ask: AskId, answer: Result<Answer, Refusal>) {
        // Before the process hears it: then it may name the slot again.
        let Some(owed) = self.owed().remove(&ask) else { return };
        let mut unsent = Unsent { answers: self, ask, owed: Some(owed) };
        let frame = ToGuest::Answer { call: self.call, ask, answer };
        // A process that is gone needs no answer.
        let _ = self.channel.send(&frame, &[] as &[BorrowedFd<'_>]).await;
        unsent.owed = None;
    }

    fn owed_by(&self, object: AskId) -> Vec<AskId> {
        self.owed().iter().filter(|(_, owed)| owed.object == object).map(|(ask, _)| *ask).collect()
    }

    fn owed(&self) -> MutexGuard<'_, HashMap<AskId, Owed>> {
        self.owed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer on its way: given up before it is sent, it is owed still.
struct Unsent<'a> {
    answers: &'a Answers,
    ask: AskId,
    owed: Option<Owed>,
}

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        if let Some(owed) = self.owed.take() {
            self.answers.owed().insert(self.ask, owed);
        }
    }
}

/// Lives as long as an object is served and something is copied for it. What was asked of it and not answered by then, since it has failed or was closed,
/// is refused: the process keeps a slot for each until it hears of it.
pub(super) struct Served {
    pub(super) answers: Answers,
    pub(super) object: AskId,
    /// Bounded by what may be owed.
    pub(super) forsaken: mpsc::UnboundedSender<AskId>,
}

impl Drop for Served {
    fn drop(&mut self) {
        for ask in self.answers.owed_by(self.object) {
            // Nobody is there to take it when the call has ended, which frees all slots.
            let _ = self.forsaken.send(ask);
        }
    }
}

/// Refuses what is forsaken.
pub(super) async fn refuse(answers: Answers, mut forsaken: mpsc::UnboundedReceiver<AskId>) {
    while let Some(ask) = forsaken.recv().await {
        answers.send(ask, Err(Refusal::Port(PortError::cancelled()))).await;
    }
}

/// A step that is asked of an object.
#[derive(Debug)]
pub(super) enum Step {
    NextPart,
    Read { slot: u32, max: u32 },
    Write { slot: u32, length: u32 },
    Finish,
}

/// Who asks, and for what.
pub(super) type Asked = (AskId, Step);
