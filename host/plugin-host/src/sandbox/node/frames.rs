//! The way of a frame from a sandbox process to its call. What waits on it takes a bounded amount of memory, whatever a
//! process sends; one that says something else than the protocol has, or nothing more, is ended.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use posemesh_text::one_line;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::timeout;

use crate::sandbox::channel::ChannelEnd;
use crate::sandbox::node::ending::{KillSwitch, ProcessEnd};
use crate::sandbox::wire::{CallId, MAX_HEAD, ToNode};

/// Frames of one call that may wait. Whoever sends more waits.
const WAITING_FRAMES: usize = 64;
/// The memory that they may take, in bytes.
const WAITING_BYTES: usize = 8 << 20;
/// The largest frame that is more than one text, in bytes: the head of a request, each byte of which may be a number.
const MAX_STRUCTURED: usize = 5 * MAX_HEAD;
/// How many times its length such a frame may take in memory.
const EXPANSION: usize = 16;
/// How long a process that has closed its channel may take to end.
const ENDING_TIME: Duration = Duration::from_secs(2);

/// A frame about a call, and its share of what may wait.
pub(super) struct Frame {
    pub(super) said: ToNode,
    pub(super) room: OwnedSemaphorePermit,
}

/// Where the frames of a call arrive; none when the process has ended.
pub(super) type Frames = mpsc::Receiver<Frame>;

/// Where the frames of each call go.
#[derive(Debug)]
pub(super) struct Calls(Mutex<Option<HashMap<CallId, To>>>);

#[derive(Debug, Clone)]
struct To {
    frames: mpsc::Sender<Frame>,
    room: Arc<Semaphore>,
}

impl Default for Calls {
    fn default() -> Self {
        Self(Mutex::new(Some(HashMap::new())))
    }
}

impl Calls {
    /// Has the frames of a call arrive until the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>, call: CallId) -> (Frames, CallFrames) {
        let (frames, received) = mpsc::channel(WAITING_FRAMES);
        if let Some(calls) = self.lock().as_mut() {
            calls.insert(call, To { frames, room: Arc::new(Semaphore::new(WAITING_BYTES)) });
        }
        (received, CallFrames { calls: self.clone(), call })
    }

    /// Whether no more will come.
    pub(super) fn is_over(&self) -> bool {
        self.lock().is_none()
    }

    fn lock(&self) -> MutexGuard<'_, Option<HashMap<CallId, To>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The frames of a call arrive until this is dropped.
pub(super) struct CallFrames {
    calls: Arc<Calls>,
    call: CallId,
}

impl Drop for CallFrames {
    fn drop(&mut self) {
        if let Some(calls) = self.calls.lock().as_mut() {
            calls.remove(&self.call);
        }
    }
}

/// Takes frames from a process and hands each to its call, until there are no more. A process that says something else
/// than the protocol has is ended: it is not what was started.
pub(super) async fn listen(
    end: Arc<ChannelEnd>,
    calls: Arc<Calls>,
    words: mpsc::Sender<ToNode>,
    kill: KillSwitch,
    mut ended: watch::Receiver<Option<ProcessEnd>>,
) {
    if let Err(what) = hand_on(&end, &calls, &words).await {
        kill.kill(format!("it broke the protocol of the sandbox: {}", one_line(what, 200)));
    }
    // Whoever waits for a frame learns that none will come, and waits for the process's end.
    calls.lock().take();
    drop(words);
    // An honest process closes its channel by ending, and how it ends is to be known.
    if timeout(ENDING_TIME, ended.wait_for(Option::is_some)).await.is_err() {
        kill.kill("it closed its channel and went on");
    }
}

async fn hand_on(end: &ChannelEnd, calls: &Calls, words: &mpsc::Sender<ToNode>) -> Result<(), String> {
    loop {
        let received = match end.receive().await {
            Ok(Some(received)) => received,
            Ok(None) => return Ok(()),
            // It has died with frames of the node unread, which is told once, and before what it had still to say.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => continue,
            Err(error) => return Err(error.to_string()),
        };
        let bytes = received.len();
        if bytes > MAX_STRUCTURED && !received.is_text() {
            return Err(format!("a frame has {bytes} bytes, and is no report"));
        }
        let said: ToNode = received.parse().map_err(|error| error.to_string())?;
        let Some(call) = call_of(&said) else {
            // One that has nobody to hear it was not asked for.
            words.try_send(said).map_err(|_| "it spoke without being asked".to_owned())?;
            continue;
        };
        let to = match calls.lock().as_ref() {
            Some(calls) => calls.get(&call).cloned(),
            None => return Ok(()),
        };
        // A call that has ended here may still be heard of.
        let Some(To { frames, room }) = to else { continue };
        let bytes = if received.is_text() { bytes } else { bytes.saturating_mul(EXPANSION) };
        let bytes = u32::try_from(bytes.min(WAITING_BYTES)).unwrap_or(u32::MAX);
        // Never closed.
        let Ok(room) = room.acquire_many_owned(bytes).await else { continue };
        let _ = frames.send(Frame { said, room }).await;
    }
}

fn call_of(frame: &ToNode) -> Option<CallId> {
    match frame {
        ToNode::Ready { .. } | ToNode::NotReady(_) | ToNode::Described(_) => None,
        ToNode::Ask { call, .. }
        | ToNode::Close { call, .. }
        | ToNode::Progress { call, .. }
        | ToNode::Event { call, .. }
        | ToNode::EventsDropped { call, .. }
        | ToNode::Line { call, .. }
        | ToNode::LinesDropped { call, .. }
        | ToNode::Usage { call, .. }
        | ToNode::Ended { call, .. } => Some(*call),
    }
}
