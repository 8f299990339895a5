//! The way out of a sandbox process. Frames are sent by the thread that has something to say: it is a guest's own or has
//! nothing else to do.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, PoisonError};

use crate::sandbox::channel::{encode, send_blocking};
use crate::sandbox::wire::ToNode;

/// Where frames for the node go. Clones share.
#[derive(Debug, Clone)]
pub(crate) struct Outbox(Arc<Way>);

#[derive(Debug)]
struct Way {
    socket: Arc<OwnedFd>,
    /// A large frame goes in pieces, with none of another frame between them.
    sending: Mutex<()>,
}

impl Outbox {
    pub(crate) fn new(socket: Arc<OwnedFd>) -> Self {
        Self(Arc::new(Way { socket, sending: Mutex::new(()) }))
    }

    /// Sends a frame. What can't be sent has nobody to go to: without its node the process ends.
    pub(crate) fn send(&self, frame: &ToNode) {
        let _ = self.try_send(frame);
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// When the node is gone, or there is no memory for it.
    pub(crate) fn try_send(&self, frame: &ToNode) -> io::Result<()> {
        let frame = encode(frame)?;
        let _sending = self.0.sending.lock().unwrap_or_else(PoisonError::into_inner);
        send_blocking(&self.0.socket, &frame)
    }
}
