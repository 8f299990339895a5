#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use posemesh_runner_api::ports::{Artifact, PartInfo};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::timeout;
use tracing::Span;

use super::*;
use crate::instance::outbound::Outbound;
use crate::instance::runner_log::RunnerLog;
use crate::manifest::description::{Description, RawDescription};
use crate::manifest::limits::Limits;
use crate::manifest::policy::Policy;
use crate::sandbox::channel::{ChannelEnd, Peer, pair, receive_blocking};
use crate::sandbox::wire::{Request, ToGuest};

/// A server that never says another byte, and one that takes none.
struct Stalled;

#[async_trait]
impl InputPort for Stalled {
    async fn open(&self, _: &str) -> Result<Box<dyn PartStream>, PortError> {
        Ok(Box::new(Self))
    }
}

#[async_trait]
impl PartStream for Stalled {
    async fn next_part(&mut self) -> Result<Option<PartInfo>, PortError> {
        std::future::pending().await
    }

    async fn read(&mut self, _: usize) -> Result<Bytes, PortError> {
        std::future::pending().await
    }
}

#[async_trait]
impl OutputPort for Stalled {
    async fn create(&self, spec: ArtifactSpec) -> Result<Box<dyn ArtifactWriter>, PortError> {
        // Whoever fails does so when the next bytes wait already.
        Ok(if spec.path == "fails" { Box::new(Failing) } else { Box::new(Self) })
    }

    fn finished(&self) -> Vec<Artifact> {
        Vec::new()
    }
}

#[async_trait]
impl ArtifactWriter for Stalled {
    async fn write(&mut self, _: Bytes) -> Result<(), PortError> {
        std::future::pending().await
    }

    async fn finish(self: Box<Self>) -> Result<Artifact, PortError> {
        std::future::pending().await
    }
}

struct Failing;

#[async_trait]
impl ArtifactWriter for Failing {
    async fn write(&mut self, _: Bytes) -> Result<(), PortError> {
        tokio::time::sleep(Duration::from_millis(100)).await;
        Err(PortError::invalid("it is no good"))
    }

    async fn finish(self: Box<Self>) -> Result<Artifact, PortError> {
        Err(PortError::invalid("it has failed"))
    }
}

/// What a process asks, and the answers that it gets.
struct Process {
    objects: Objects,
    answers: UnboundedReceiver<(AskId, Result<Answer, Refusal>)>,
}

impl Process {
    fn new(requests: Option<Requests>) -> Self {
        let (ours, theirs) = pair().unwrap();
        let (heard, answers) = mpsc::unbounded_channel();
        // Ends with the channel.
        thread::spawn(move || {
            while let Ok(Some(received)) = receive_blocking(&theirs, 1 << 20) {
                let Ok(ToGuest::Answer { ask, answer, .. }) = received.parse() else { return };
                let _ = heard.send((ask, answer));
            }
        });
        let channel = ChannelEnd::new(ours, Peer::Process, 1 << 20).unwrap();
        let port = Arc::new(Stalled);
        let objects = Objects::new(
            port.clone(),
            port,
            requests,
            Arena::create().unwrap(),
            Answers::new(Arc::new(channel), 1),
            CallBudget::new(&Limits::default()),
            RunTrouble::default(),
        );
        Self { objects, answers }
    }

    fn ask(&mut self, ask: AskId, what: Ask) {
        self.objects.take(ask, what).unwrap();
    }

    async fn answer(&mut self) -> (AskId, Result<Answer, Refusal>) {
        timeout(Duration::from_secs(60), self.answers.recv()).await.expect("an answer").unwrap()
    }
}

fn spec(path: &str) -> Ask {
    Ask::Create(ArtifactSpec { path: path.to_owned(), ..ArtifactSpec::default() })
}

fn write(opened: AskId, slot: u32) -> Ask {
    Ask::Write { opened, slot, length: 1 << 20 }
}

#[tokio::test]
async fn what_is_asked_of_something_that_is_closed_is_answered_so_that_its_slots_are_free() {
    let mut process = Process::new(None);
    for round in 0..100 {
        let (input, artifact) = (1 + round * 10, 5 + round * 10);
        process.ask(input, Ask::Open { cid: "scan".to_owned(), slot: Some(0) });
        process.ask(artifact, spec("a"));
        let opened = [process.answer().await.0, process.answer().await.0];
        assert!(opened.contains(&input) && opened.contains(&artifact));
        process.ask(input + 1, Ask::Read { opened: input, slot: 0, max: 100 });
        process.ask(artifact + 1, write(artifact, 1));
        process.ask(artifact + 2, write(artifact, 2));
        process.objects.close(input);
        process.objects.close(artifact);
        let mut asks = Vec::new();
        for _ in 0..3 {
            let (ask, answer) = process.answer().await;
            assert!(answer.is_err());
            asks.push(ask);
        }
        asks.sort_unstable();
        assert_eq!(asks, [input + 1, artifact + 1, artifact + 2], "round {round}");
        // Another thread of the process may ask once more before it knows.
        process.ask(input + 3, Ask::Read { opened: input, slot: 0, max: 100 });
        assert!(matches!(process.answer().await, (ask, Err(_)) if ask == input + 3));
    }
    process.objects.close_all().await;
}

#[tokio::test]
async fn what_waits_behind_a_write_that_fails_is_answered() {
    let mut process = Process::new(None);
    process.ask(1, spec("fails"));
    assert!(process.answer().await.1.is_ok());
    process.ask(2, write(1, 0));
    process.ask(3, write(1, 1));
    let answers = [process.answer().await, process.answer().await];
    assert!(answers.iter().all(|(_, answer)| answer.is_err()), "{answers:?}");
    assert_eq!(answers.map(|(ask, _)| ask), [2, 3]);
    // And what comes when all is over.
    process.ask(4, write(1, 0));
    assert!(matches!(process.answer().await, (4, Err(_))));
    process.objects.close_all().await;
}

#[tokio::test]
async fn no_more_asks_wait_than_there_are_slots() {
    let mut process = Process::new(None);
    let slots = process.objects.arena.slots();
    for slot in 0..slots {
        let artifact = u64::from(slot) * 2 + 1;
        process.ask(artifact, spec("a"));
        process.ask(artifact + 1, write(artifact, slot));
    }
    for slot in [0, slots - 1, slots] {
        process.objects.take(1000 + u64::from(slot), write(1, slot)).unwrap_err();
    }
    process.objects.close_all().await;
}

/// Sends back what it gets, as soon as it gets it, and takes no more until that is taken.
fn echo() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        // The chunks of the request are those of the answer.
        stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").unwrap();
        let mut bytes = vec![0; 64 << 10];
        while let Ok(read @ 1..) = stream.read(&mut bytes) {
            if stream.write_all(&bytes[..read]).is_err() {
                return;
            }
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_may_answer_while_it_takes_the_request() {
    const PIECES: u64 = 32;
    let host = echo().to_string();
    let description = Description::check(RawDescription {
        name: "echo".to_owned(),
        version: "1.0.0".to_owned(),
        capabilities: vec!["/echo".to_owned()],
        network_hosts: vec![host.clone()],
        ..RawDescription::default()
    });
    let policy = Policy { private_network_hosts: vec![host.parse().unwrap()], ..Policy::default() };
    let (most, defaults) = (Limits::default(), Limits::default());
    let grant = policy.grant(&description.unwrap(), &most, &defaults);
    let outbound = Outbound::new(&grant, RunnerLog::new(1 << 20, Span::none()));
    let mut process = Process::new(Some(Requests::new(outbound)));
    process.ask(
        1,
        Ask::Request(Request {
            method: "POST".to_owned(),
            uri: format!("http://{host}/"),
            headers: Vec::new(),
            has_body: true,
            connect_timeout_ms: None,
            first_byte_timeout_ms: None,
        }),
    );
    // Far more than sockets hold: written while the answer is read, as both are wanted.
    let (mut written, mut read, mut has_head) = (0, 0, false);
    let (mut next, mut writing, mut reading) = (2, None, None);
    while read < PIECES << 20 {
        if writing.is_none() && written < PIECES {
            process.ask(next, write(1, 0));
            (writing, next) = (Some(next), next + 1);
        }
        if reading.is_none() && has_head {
            process.ask(next, Ask::Read { opened: 1, slot: 1, max: 1 << 20 });
            (reading, next) = (Some(next), next + 1);
        }
        match process.answer().await {
            (1, answer) => {
                assert!(matches!(answer, Ok(Answer::Head { status: 200, .. })), "{answer:?}");
                has_head = true;
            }
            (ask, Ok(Answer::Bytes(bytes @ 1..))) if reading == Some(ask) => {
                (read, reading) = (read + u64::from(bytes), None);
            }
            (ask, Ok(Answer::Done)) if writing == Some(ask) => (written, writing) = (written + 1, None),
            other => panic!("{other:?} after {written} and {read}"),
        }
    }
    assert_eq!((read, written), (PIECES << 20, PIECES));
    process.objects.close_all().await;
}
