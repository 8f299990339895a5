//! The socket between a node and a sandbox process: one datagram a frame, with the descriptors that belong to it. What
//! is too large for a datagram travels as a memory file to the process, and in pieces to the node: a process can make no
//! memory files, which nothing would count.

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
/// The first byte of a datagram: a piece of a frame follows, and the next datagram goes on with it.
const PIECE: u8 = 2;

/// How the frames begin that are one text and a little more.
const TEXTS: [&str; 3] = [r#"{"Progress":"#, r#"{"Event":"#, r#"{"Line":"#];

/// One frame as it came, with its descriptors.
#[derive(Debug)]
pub(crate) struct Received {
    bytes: Vec<u8>,
    pub(crate) descriptors: Vec<OwnedFd>,
}

impl Received {
    /// Its length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it is one text and a little more: a report or a line.
    pub(crate) fn is_text(&self) -> bool {
        TEXTS.iter().any(|head| self.bytes.starts_with(head.as_bytes()))
    }

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

/// A frame that is ready to be sent to a process.
struct Encoded {
    head: Vec<u8>,
    file: Option<OwnedFd>,
}

/// A frame, after its first byte.
pub(crate) fn encode(what: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut head = vec![HERE];
    serde_json::to_writer(&mut head, what).map_err(io::Error::other)?;
    Ok(head)
}

/// Makes a frame for a process of what is to be said.
fn encode_for_process(what: &impl Serialize) -> io::Result<Encoded> {
    let head = encode(what)?;
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

/// Sends a datagram in parts that lie apart, or answers with [`io::ErrorKind::WouldBlock`].
pub(crate) fn send(
    socket: impl AsFd,
    datagram: &[IoSlice<'_>],
    descriptors: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::other(format!("a frame can't have {} descriptors", descriptors.len())));
    }
    loop {
        // A closed socket is an error here, and not a signal.
        match sendmsg(&socket, datagram, &mut control, SendFlags::NOSIGNAL) {
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Sends a frame to the node, in as many datagrams as it takes: no other thread may send meanwhile. The thread waits while
/// the node takes none.
pub(crate) fn send_blocking(socket: impl AsFd, frame: &[u8]) -> io::Result<()> {
    let mut pieces = frame.get(1..).unwrap_or_default().chunks(INLINE - 1).peekable();
    while let Some(piece) = pieces.next() {
        let kind = if pieces.peek().is_some() { PIECE } else { HERE };
        loop {
            match send(&socket, &[IoSlice::new(&[kind]), IoSlice::new(piece)], &[]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait(&socket, PollFlags::OUT)?,
                result => break result?,
            }
        }
    }
    Ok(())
}

/// Receives a frame of the node; the thread waits for one.
pub(crate) fn receive_blocking(socket: impl AsFd, max: usize) -> io::Result<Option<Received>> {
    let mut space = Space::new(Peer::Node);
    loop {
        match space.receive(&socket, max) {
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

/// Whom an end of a channel hears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// The node, which sends what is large as a memory file.
    Node,
    /// A process, which sends it in pieces.
    Process,
}

/// Where datagrams are received, one after the other.
#[derive(Debug)]
struct Space {
    from: Peer,
    datagram: Vec<u8>,
    /// The pieces so far of a frame that is not there yet.
    begun: Vec<u8>,
}

impl Space {
    fn new(from: Peer) -> Self {
        Self { from, datagram: vec![0; INLINE], begun: Vec::new() }
    }

    /// Receives a frame of at most `max` bytes, or answers with [`io::ErrorKind::WouldBlock`]; None when the other end is
    /// closed.
    fn receive(&mut self, socket: impl AsFd, max: usize) -> io::Result<Option<Received>> {
        let mut descriptors = Vec::new();
        loop {
            let Some(length) = datagram(&socket, &mut self.datagram, &mut descriptors)? else {
                return Ok(None);
            };
            let (kind, bytes) = match self.datagram.get(..length).and_then(<[u8]>::split_first) {
                Some((kind, bytes)) => (*kind, bytes),
                None => return Err(broken("a frame is of no kind")),
            };
            let bytes = match (kind, self.from) {
                (HERE | PIECE, _) if self.begun.len() + bytes.len() > max => {
                    return Err(broken(format!("a frame has more than {max} bytes")));
                }
                (HERE, _) if self.begun.is_empty() => bytes.to_vec(),
                (HERE, _) => {
                    self.begun.extend_from_slice(bytes);
                    std::mem::take(&mut self.begun)
                }
                (PIECE, Peer::Process) => {
                    self.begun.extend_from_slice(bytes);
                    continue;
                }
                (IN_FILE, Peer::Node) => {
                    let file = descriptors.pop().ok_or_else(|| broken("a frame's file is missing"))?;
                    read_file(&file, max)?
                }
                _ => return Err(broken("a frame is of an unknown kind")),
            };
            return Ok(Some(Received { bytes, descriptors }));
        }
    }
}

fn broken(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}

/// Receives a datagram: how many bytes it has; None when the other end is closed.
fn datagram(
    socket: impl AsFd,
    space: &mut [u8],
    descriptors: &mut Vec<OwnedFd>,
) -> io::Result<Option<usize>> {
    let mut control_space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut control_space);
    let message = loop {
        match recvmsg(&socket, &mut [IoSliceMut::new(space)], &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            result => break result?,
        }
    };
    // None is kept but those of the datagram that ends a frame.
    descriptors.clear();
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
    Ok(Some(message.bytes))
}

/// All of a memory file. Whoever sent it may change it meanwhile: what is read is read once.
fn read_file(file: &OwnedFd, max: usize) -> io::Result<Vec<u8>> {
    let stat = fstat(file)?;
    // Reading anything else could wait for ever.
    if rustix::fs::FileType::from_raw_mode(stat.st_mode) != rustix::fs::FileType::RegularFile {
        return Err(broken("a frame's file is no file"));
    }
    let length = usize::try_from(stat.st_size).unwrap_or(usize::MAX);
    if length > max {
        return Err(broken(format!("a frame has {length} bytes, more than {max}")));
    }
    let mut bytes = vec![0; length];
    let mut done = 0;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match pread(file, rest, done as u64)? {
            0 => return Err(broken("a frame's file was cut short")),
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
    space: Mutex<Space>,
}

impl ChannelEnd {
    /// Takes one end, which hears `from`. No frame that is received has more than `max` bytes.
    pub(crate) fn new(socket: OwnedFd, from: Peer, max: usize) -> io::Result<Self> {
        let socket = UnixDatagram::from_std(socket.into())?;
        Ok(Self { socket, max, space: Mutex::new(Space::new(from)) })
    }

    /// Sends a frame to a process; waits while it takes none.
    pub(crate) async fn send(&self, what: &impl Serialize, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        let frame = encode_for_process(what)?;
        let mut all = descriptors.to_vec();
        all.extend(frame.file.as_ref().map(AsFd::as_fd));
        let datagram = [IoSlice::new(&frame.head)];
        self.socket.async_io(Interest::WRITABLE, || send(&self.socket, &datagram, &all)).await
    }

    /// The next frame; None when the other end is closed.
    pub(crate) async fn receive(&self) -> io::Result<Option<Received>> {
        let received = || {
            let mut space = self.space.lock().unwrap_or_else(PoisonError::into_inner);
            space.receive(&self.socket, self.max)
        };
        self.socket.async_io(Interest::READABLE, received).await
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_of_any_size_reach_a_process_whole_with_their_descriptors() {
        let (ours, theirs) = pair().unwrap();
        let ours = ChannelEnd::new(ours, Peer::Process, 1 << 20).unwrap();
        let file = memfd_create("x", MemfdFlags::CLOEXEC).unwrap();
        pwrite(&file, b"inside", 0).unwrap();
        for text in ["short".to_owned(), "x".repeat(500_000)] {
            ours.send(&text, &[file.as_fd()]).await.unwrap();
            let received = receive_blocking(&theirs, 1 << 20).unwrap().unwrap();
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
    async fn frames_of_any_size_reach_the_node_whole() {
        let (ours, theirs) = pair().unwrap();
        let ours = ChannelEnd::new(ours, Peer::Process, 1 << 20).unwrap();
        // With the quotes: a datagram short of full, full, and one byte more.
        let texts =
            [5, INLINE - 4, INLINE - 3, INLINE - 2, 3 * INLINE, 1_000_000].map(|size| "x".repeat(size));
        let all = texts.clone();
        let sending = std::thread::spawn(move || {
            texts.iter().try_for_each(|text| send_blocking(&theirs, &encode(text)?))
        });
        for text in &all {
            assert_eq!(&ours.receive().await.unwrap().unwrap().parse::<String>().unwrap(), text);
        }
        sending.join().unwrap().unwrap();
        assert!(ours.receive().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_frame_beyond_the_bound_or_of_another_kind_is_refused() {
        let file = memfd_create("x", MemfdFlags::CLOEXEC).unwrap();
        let piece = [&[PIECE][..], &[b'x'; 30_000]].concat();
        let too_large = vec![piece; 4];
        // A memory file, a datagram of no kind, one that is larger than any.
        for (datagrams, why) in [
            (too_large, "more than 100000 bytes"),
            (vec![vec![IN_FILE]], "unknown kind"),
            (vec![vec![9]], "unknown kind"),
            (vec![vec![0; 60_000]], "too large"),
        ] {
            let (ours, theirs) = pair().unwrap();
            let ours = ChannelEnd::new(ours, Peer::Process, 100_000).unwrap();
            let sending = std::thread::spawn(move || {
                for datagram in &datagrams {
                    let _ = send(&theirs, &[IoSlice::new(datagram)], &[theirs.as_fd()]);
                }
            });
            let error = ours.receive().await.unwrap_err();
            assert!(error.to_string().contains(why), "{error}");
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            sending.join().unwrap();
        }
        // The node's own: a socket in place of a memory file, or none.
        let (ours, theirs) = pair().unwrap();
        for (descriptors, is_frame) in
            [(vec![file.as_fd()], true), (vec![theirs.as_fd()], false), (Vec::new(), false)]
        {
            send(&theirs, &[IoSlice::new(&[IN_FILE])], &descriptors).unwrap();
            assert_eq!(receive_blocking(&ours, 100).is_ok(), is_frame);
        }
    }
}
