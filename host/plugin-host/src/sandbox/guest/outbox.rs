//! The way out of a sandbox process. Frames are sent by the thread that has something to say: a datagram is written
//! whole, whoever else writes, and the thread is a guest's own or has nothing else to do.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::sandbox::channel::{encode, send_blocking};
use crate::sandbox::wire::ToNode;

/// Where frames for the node go. Clones share.
#[derive(Debug, Clone)]
pub(crate) struct Outbox(Arc<OwnedFd>);

impl Outbox {
    pub(crate) fn new(socket: Arc<OwnedFd>) -> Self {
        Self(socket)
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
        send_blocking(&self.0, &encode(frame)?)
    }
}
