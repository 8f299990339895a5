//! A sandbox process that a guest has taken over, for the tests that show what it can do then: it is held as any other is,
//! and says whatever it likes.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use crate::sandbox::channel::{MAX_DESCRIPTORS, receive_blocking, send_blocking};
use crate::sandbox::confine;
use crate::sandbox::wire::{COMMAND, MAX_FROM_NODE as MAX_FRAME, Setup, ToGuest};

pub use crate::sandbox::node::heard::{Heard, hear};

/// The process, behind its locks.
#[derive(Debug)]
pub struct TakenOver {
    channel: OwnedFd,
    /// The process of the node.
    pub node: u32,
    /// The folder of this process.
    pub folder: String,
    /// The granted directories.
    pub granted: Vec<OwnedFd>,
    /// What this kernel lacks to hold it.
    pub missing: Vec<String>,
}

impl TakenOver {
    /// Takes the place of an honest process, if this program was started as one. None too when the node only tries what
    /// this system has: it is answered.
    ///
    /// # Errors
    /// When the channel fails.
    pub fn begin() -> io::Result<Option<Self>> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let [command, node] = arguments.as_slice() else { return Ok(None) };
        let Some(node) = node.parse().ok().filter(|_| command == COMMAND) else { return Ok(None) };
        confine::begin(node)?;
        let channel = io::stdin().as_fd().try_clone_to_owned()?;
        let Some(first) = receive_blocking(&channel, MAX_FRAME)? else { return Ok(None) };
        let ToGuest::Setup(Setup { folder, probe, .. }) = first.parse().map_err(io::Error::other)? else {
            return Err(io::Error::other("the first frame sets nothing up"));
        };
        let mut descriptors = first.descriptors.into_iter();
        let own = descriptors.next().ok_or_else(|| io::Error::other("no folder"))?;
        // The code, which is not run here.
        let _ = if probe { None } else { descriptors.next() };
        let granted: Vec<OwnedFd> = descriptors.collect();
        let missing = confine::lock(&own, &granted);
        Ok(Some(Self { channel, node, folder, granted, missing }))
    }

    /// Sends any bytes as a datagram, with any descriptors.
    ///
    /// # Errors
    /// When the node does not listen any more.
    pub fn send(&self, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(descriptors));
        }
        loop {
            match sendmsg(&self.channel, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL) {
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
                sent => return Ok(sent.map(drop)?),
            }
        }
    }

    /// Says a frame of any size, given as its JSON text.
    ///
    /// # Errors
    /// As [`TakenOver::send`].
    pub fn say(&self, json: &str) -> io::Result<()> {
        send_blocking(&self.channel, &[&[0], json.as_bytes()].concat())
    }

    /// The next frame of the node as JSON text, with its descriptors; None when the node is gone.
    ///
    /// # Errors
    /// When the channel fails.
    pub fn hear(&self) -> io::Result<Option<(String, Vec<OwnedFd>)>> {
        let Some(received) = receive_blocking(&self.channel, MAX_FRAME)? else { return Ok(None) };
        let frame: serde_json::Value = received.parse().map_err(io::Error::other)?;
        Ok(Some((frame.to_string(), received.descriptors)))
    }

    /// The channel itself.
    pub fn channel(&self) -> BorrowedFd<'_> {
        self.channel.as_fd()
    }
}
