#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::*;

struct Serving {
    addr: SocketAddr,
    stop: CancellationToken,
    task: JoinHandle<()>,
    /// Lets `/slow` answer.
    slow: Arc<Notify>,
    /// Requests for `/slow` that are being worked on.
    working: Arc<AtomicUsize>,
}

async fn start(limits: ServerLimits) -> Serving {
    let slow = Arc::new(Notify::new());
    let working = Arc::new(AtomicUsize::new(0));
    let (wait, count) = (Arc::clone(&slow), Arc::clone(&working));
    let router = Router::new().route("/", get(async || "well")).route(
        "/slow",
        get(move || {
            let (wait, count) = (Arc::clone(&wait), Arc::clone(&count));
            async move {
                let notified = wait.notified();
                count.fetch_add(1, Ordering::SeqCst);
                notified.await;
                "at last"
            }
        }),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let task = tokio::spawn(serve(listener, router, "the server", limits, stop.clone()));
    Serving { addr, stop, task, slow, working }
}

impl Serving {
    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.unwrap()
    }

    async fn work_on(&self, requests: usize) {
        let wait = async {
            while self.working.load(Ordering::SeqCst) < requests {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(30), wait).await.expect("the requests arrive");
    }
}

async fn send(stream: &mut TcpStream, path: &str) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
}

/// The answer as far as `end`; empty if the connection is closed.
async fn answer(stream: &mut TcpStream, end: &str) -> String {
    let mut all = Vec::new();
    let mut chunk = [0; 1024];
    while !String::from_utf8_lossy(&all).ends_with(end) || all.is_empty() {
        match timeout(Duration::from_secs(30), stream.read(&mut chunk)).await.expect("an answer or an end") {
            Ok(0) | Err(_) => break,
            Ok(read) => all.extend_from_slice(chunk.get(..read).unwrap()),
        }
    }
    String::from_utf8(all).unwrap()
}

fn limits() -> ServerLimits {
    ServerLimits { connections: 4, ..ServerLimits::default() }
}

#[test]
fn a_shortage_that_comes_and_goes_is_told_once() {
    let (mut trouble, began) = (AcceptTrouble::default(), Instant::now());
    let at = |seconds| began + Duration::from_secs(seconds);
    assert!(!trouble.is_over(at(0)), "nothing was told");
    assert!(trouble.is_news(at(1)));
    for second in 2..100 {
        assert!(!trouble.is_over(at(second)), "the next may fail again");
        assert!(!trouble.is_news(at(second)));
    }
    assert!(!trouble.is_over(at(158)));
    assert!(trouble.is_over(at(160)));
    assert!(!trouble.is_over(at(161)), "once");
    assert!(trouble.is_news(at(162)));
}

#[tokio::test]
async fn any_number_of_silent_connections_keeps_no_request_out() {
    let serving = start(limits()).await;
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(serving.connect().await);
        if silent.len() % 10 == 0 {
            let mut stream = serving.connect().await;
            send(&mut stream, "/").await;
            assert!(
                answer(&mut stream, "well").await.ends_with("well"),
                "after {} silent ones",
                silent.len()
            );
        }
    }
    // All but the last few were closed to make room.
    let mut first = silent.swap_remove(0);
    assert_eq!(answer(&mut first, "never").await, "");
    serving.stop.cancel();
    serving.task.await.unwrap();
}

#[tokio::test]
async fn a_request_that_is_worked_on_is_not_closed_for_another() {
    let serving = start(limits()).await;
    let mut slow = Vec::new();
    for _ in 0..4 {
        let mut stream = serving.connect().await;
        send(&mut stream, "/slow").await;
        slow.push(stream);
    }
    // Until all four have arrived, the server can't tell them from silent ones; a fifth may take a place then.
    serving.work_on(4).await;
    let mut fifth = serving.connect().await;
    assert_eq!(answer(&mut fifth, "never").await, "", "there is no place");
    serving.slow.notify_waiters();
    for mut stream in slow {
        assert!(answer(&mut stream, "at last").await.ends_with("at last"));
    }
    let mut stream = serving.connect().await;
    send(&mut stream, "/").await;
    assert!(answer(&mut stream, "well").await.ends_with("well"), "there are places again");
}

#[tokio::test]
async fn a_head_that_does_not_come_or_does_not_end_closes_the_connection() {
    let serving = start(ServerLimits { head_timeout: Duration::from_millis(100), ..limits() }).await;
    let mut silent = serving.connect().await;
    assert_eq!(answer(&mut silent, "never").await, "");
    let mut endless = serving.connect().await;
    endless.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    answer(&mut endless, "never").await;
    let mut kept = serving.connect().await;
    send(&mut kept, "/").await;
    // What follows the answer is the end of the connection: no further request came.
    assert!(answer(&mut kept, "never").await.ends_with("well"));
}

#[tokio::test]
async fn a_connection_has_an_end_and_so_has_a_server() {
    let limits = ServerLimits {
        connection_time: Duration::from_millis(200),
        last_requests: Duration::from_millis(200),
        ..limits()
    };
    let serving = start(limits).await;
    let mut slow = serving.connect().await;
    send(&mut slow, "/slow").await;
    assert_eq!(answer(&mut slow, "never").await, "");

    let serving = start(ServerLimits { connection_time: Duration::from_secs(600), ..limits }).await;
    let mut slow = serving.connect().await;
    send(&mut slow, "/slow").await;
    let mut idle = serving.connect().await;
    send(&mut idle, "/").await;
    answer(&mut idle, "well").await;
    serving.stop.cancel();
    timeout(Duration::from_secs(30), serving.task).await.expect("a client can't hold the end up").unwrap();
    assert_eq!(answer(&mut idle, "never").await, "");
}

#[tokio::test]
async fn a_request_in_flight_at_the_end_is_answered() {
    let serving = start(limits()).await;
    let mut slow = serving.connect().await;
    send(&mut slow, "/slow").await;
    serving.work_on(1).await;
    serving.stop.cancel();
    sleep(Duration::from_millis(50)).await;
    serving.slow.notify_waiters();
    assert!(answer(&mut slow, "at last").await.ends_with("at last"));
    serving.task.await.unwrap();
}
