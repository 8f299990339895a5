//! The socket between a node and a sandbox process: one datagram a frame, with the descriptors that belong to it. What
//! is too large for a datagram travels as a memory file.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{MemfdFlags, fstat, memfd_create};
use rustix::io::{Errno, pread, pwrite};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::Interest;
use tokio::net::UnixDatagram;

/// The longest frame that is a datagram by itself, in bytes: well below what the kernel lets one socket hold.
const INLINE: usize = 32 << 10;
/// The most descriptors of one frame.
pub(crate) const MAX_DESCRIPTORS: usize = 64;
/// The first byte of a datagram: the frame follows.
const HERE: u8 = 0;
/// The first byte of a datagram: the frame is the memory file that is its last descriptor.
const IN_FILE: u8 = 1;

/// One frame as it came, with its descriptors.
#[derive(Debug)]
pub(crate) struct Received {
    bytes: Vec<u8>,
    pub(crate) descriptors: Vec<OwnedFd>,
}

impl Received {
    /// What it says.
    ///
    /// # Errors
    /// When it is not of the protocol.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.bytes)
    }
}

/// A new channel. Neither end blocks.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
}

/// A frame that is ready to be sent.
pub(crate) struct Encoded {
    head: Vec<u8>,
    file: Option<OwnedFd>,
}

/// Makes a frame of what is to be said.
pub(crate) fn encode(what: &impl Serialize) -> io::Result<Encoded> {
    let mut head = vec![HERE];
    serde_json::to_writer(&mut head, what).map_err(io::Error::other)?;
    if head.len() <= INLINE {
        return Ok(Encoded { head, file: None });
    }
    let file = memfd_create("posemesh-frame", MemfdFlags::CLOEXEC)?;
    let mut rest = head.get(1..).unwrap_or_default();
    let mut at = 0;
    while !rest.is_empty() {
        let written = pwrite(&file, rest, at)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        at += written as u64;
        rest = rest.get(written..).unwrap_or_default();
    }
    Ok(Encoded { head: vec![IN_FILE], file: Some(file) })
}

/// Sends a frame, or answers with [`io::ErrorKind::WouldBlock`].
pub(crate) fn send(socket: impl AsFd, frame: &Encoded, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut all = descriptors.to_vec();
    all.extend(frame.file.as_ref().map(AsFd::as_fd));
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !all.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&all)) {
        return Err(io::Error::other(format!("a frame can't have {} descriptors", all.len())));
    }
    loop {
        // A closed socket is an error here, and not a signal.
        match sendmsg(&socket, &[IoSlice::new(&frame.head)], &mut control, SendFlags::NOSIGNAL) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Sends a frame; the thread waits while the other end takes none.
pub(crate) fn send_blocking(socket: impl AsFd, frame: &Encoded) -> io::Result<()> {
    loop {
        match send(&socket, frame, &[]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait(&socket, PollFlags::OUT)?,
            result => return result,
        }
    }
}

/// Receives a frame; the thread waits for one.
pub(crate) fn receive_blocking(socket: impl AsFd, max: usize) -> io::Result<Option<Received>> {
    let mut datagram = vec![0; INLINE];
    loop {
        match receive(&socket, max, &mut datagram) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait(&socket, PollFlags::IN)?,
            result => return result,
        }
    }
}

fn wait(socket: &impl AsFd, what: PollFlags) -> io::Result<()> {
    match poll(&mut [PollFd::new(socket, what)], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Receives a frame of at most `max` bytes, or answers with [`io::ErrorKind::WouldBlock`]; None when the other end is
/// closed. `datagram` has room for [`INLINE`] bytes; what is in it does not matter.
fn receive(socket: impl AsFd, max: usize, datagram: &mut [u8]) -> io::Result<Option<Received>> {
    let broken = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = loop {
        match recvmsg(&socket, &mut [IoSliceMut::new(datagram)], &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            result => break result?,
        }
    };
    let mut descriptors = Vec::new();
    for part in control.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = part {
            descriptors.extend(received);
        }
    }
    if message.bytes == 0 {
        return Ok(None);
    }
    if message.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(broken("a frame is too large"));
    }
    let bytes = match datagram.get(..message.bytes).and_then(<[u8]>::split_first) {
        Some((&HERE, frame)) => frame.to_vec(),
        Some((&IN_FILE, _)) => {
            let file = descriptors.pop().ok_or_else(|| broken("a frame's file is missing"))?;
            read_file(&file, max)?
        }
        _ => return Err(broken("a frame is of an unknown kind")),
    };
    Ok(Some(Received { bytes, descriptors }))
}

/// All of a memory file. Whoever sent it may change it meanwhile: what is read is read once.
fn read_file(file: &OwnedFd, max: usize) -> io::Result<Vec<u8>> {
    let broken = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let stat = fstat(file)?;
    // Reading anything else could wait for ever.
    if rustix::fs::FileType::from_raw_mode(stat.st_mode) != rustix::fs::FileType::RegularFile {
        return Err(broken("a frame's file is no file".to_owned()));
    }
    let length = usize::try_from(stat.st_size).unwrap_or(usize::MAX);
    if length > max {
        return Err(broken(format!("a frame has {length} bytes, more than {max}")));
    }
    let mut bytes = vec![0; length];
    let mut done = 0;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match pread(file, rest, done as u64)? {
            0 => return Err(broken("a frame's file was cut short".to_owned())),
            read => done += read,
        }
    }
    Ok(bytes)
}

/// One end of a channel, for a runtime.
#[derive(Debug)]
pub(crate) struct ChannelEnd {
    // The runtime's type for what does not block and keeps messages apart.
    socket: UnixDatagram,
    max: usize,
    /// Where datagrams are received, one after the other.
    datagram: Mutex<Vec<u8>>,
}

impl ChannelEnd {
    /// Takes one end. No frame that is received has more than `max` bytes.
    pub(crate) fn new(socket: OwnedFd, max: usize) -> io::Result<Self> {
        let socket = UnixDatagram::from_std(socket.into())?;
        Ok(Self { socket, max, datagram: Mutex::new(vec![0; INLINE]) })
    }

    /// Sends a frame; waits while the other end takes none.
    pub(crate) async fn send(&self, what: &impl Serialize, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let frame = encode(what)?;
        self.socket.async_io(Interest::WRITABLE, || send(&self.socket, &frame, descriptors)).await
    }

    /// The next frame; None when the other end is closed.
    pub(crate) async fn receive(&self) -> io::Result<Option<Received>> {
        let received = || {
            let mut datagram = self.datagram.lock().unwrap_or_else(PoisonError::into_inner);
            receive(&self.socket, self.max, &mut datagram)
        };
        self.socket.async_io(Interest::READABLE, received).await
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_of_any_size_arrive_whole_with_their_descriptors() {
        let (ours, theirs) = pair().unwrap();
        let ours = ChannelEnd::new(ours, 1 << 20).unwrap();
        let file = memfd_create("x", MemfdFlags::CLOEXEC).unwrap();
        pwrite(&file, b"inside", 0).unwrap();
        for text in ["short".to_owned(), "x".repeat(500_000)] {
            ours.send(&text, &[file.as_fd()]).await.unwrap();
            let received = receive(&theirs, 1 << 20, &mut vec![0; INLINE]).unwrap().unwrap();
            assert_eq!(received.parse::<String>().unwrap(), text);
            assert_eq!(received.descriptors.len(), 1);
            let mut bytes = [0; 6];
            pread(&received.descriptors[0], &mut bytes[..], 0).unwrap();
            assert_eq!(&bytes, b"inside");
        }
        drop(theirs);
        assert!(ours.receive().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_frame_beyond_the_bound_or_of_another_kind_is_refused() {
        let (ours, theirs) = pair().unwrap();
        let ours = ChannelEnd::new(ours, 100_000).unwrap();
        send(&theirs, &encode(&"x".repeat(100_001)).unwrap(), &[]).unwrap();
        let error = ours.receive().await.unwrap_err().to_string();
        assert!(error.contains("100003 bytes"), "{error}");
        // A socket in place of a memory file, a datagram of no kind, one that is larger than any.
        let frames =
            [(vec![IN_FILE], true), (vec![IN_FILE], false), (vec![9], false), (vec![0; 60_000], false)];
        for (head, with_socket) in frames {
            let descriptors = if with_socket { vec![theirs.as_fd()] } else { Vec::new() };
            send(&theirs, &Encoded { head, file: None }, &descriptors).unwrap();
            assert_eq!(ours.receive().await.unwrap_err().kind(), io::ErrorKind::InvalidData);
        }
    }
}
