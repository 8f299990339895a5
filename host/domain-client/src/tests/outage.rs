//! Servers that are away for a while, and how much of that a task and its node notice.

use super::*;
use posemesh_runner_api::failure::Blame;
use posemesh_runner_api::ports::PortErrorKind;

/// Far more failures in a row than a fixed number of tries would survive.
const OUTAGE: usize = 30;

/// Settings without a last attempt, as a node has them, with short waits.
fn patient() -> DomainSettings {
    changed(settings(), |settings| {
        settings.requests.retry.attempts = None;
        settings.requests.retry.max = Duration::from_millis(5);
        settings.uploads.buffer_bytes = 1000;
        settings.downloads.cut_patience = Duration::from_secs(300);
    })
}

/// A server each of whose kinds of requests fails in the first `OUTAGE` tries, one way or the other.
async fn often_away() -> MockServer {
    let failures = Mutex::new(std::collections::HashMap::<String, usize>::new());
    MockServer::start(move |seen, before| {
        let line = line(seen);
        let kind = line.rsplit_once("partNumber=").map_or(line.as_str(), |(kind, _)| kind).to_owned();
        let mut failures = failures.lock().unwrap();
        let failed = failures.entry(kind).or_default();
        if *failed < OUTAGE {
            *failed += 1;
            return match before % 4 {
                0 => Reply::status(503),
                1 => Reply::status(502),
                2 => Reply::status(429),
                _ => Reply::cut(FORM, "{"),
            };
        }
        match line.strip_prefix("GET /data?ids=") {
            Some(_) => form(whole(&[part(A, b"hello")])),
            None => ordinary(seen, 5000, json!(400)),
        }
    })
    .await
}

#[tokio::test]
async fn a_server_that_is_away_fails_no_download_and_no_upload() {
    let mock = often_away().await;
    let bench = bench(mock.address(), patient());
    assert_eq!(bench.read_all(A).await.unwrap(), [(A.to_owned(), b"hello".to_vec())]);
    bench.put("small", b"in one request", 100).await.unwrap();
    let bytes = noise(6000);
    bench.put("large", &bytes, 600).await.unwrap();
    let parts = mock.requests().into_iter().filter(|seen| seen.target.contains("partNumber="));
    let sent: std::collections::BTreeMap<_, _> = parts.map(|seen| (seen.target, seen.body)).collect();
    let mut numbered: Vec<_> = sent
        .into_iter()
        .map(|(target, body)| (target.rsplit('=').next().unwrap().parse::<u32>().unwrap(), body))
        .collect();
    numbered.sort_by_key(|(number, _)| *number);
    assert!(
        numbered.into_iter().map(|(_, body)| body).collect::<Vec<_>>().concat() == bytes,
        "other bytes arrived"
    );
    assert_eq!(bench.client.servers().trouble(), None, "it has answered since");
    assert_eq!(bench.ports.outputs.unanswered(), None);
}

#[tokio::test]
async fn a_download_goes_on_after_many_cuts_in_the_middle() {
    let bytes = noise(3000);
    let body = whole(&[part(A, &bytes)]);
    let mock = MockServer::start(move |_, before| match before {
        before if before >= OUTAGE => form(body.clone()),
        // A proxy in front of a server that restarts: it answers, and cuts at the same place each time.
        _ => broken(&body[..1000], true),
    })
    .await;
    let bench = bench(mock.address(), patient());
    assert!(bench.read_all(A).await.unwrap()[0].1 == bytes, "other bytes");
    assert_eq!(mock.requests().len(), OUTAGE + 1);
}

#[tokio::test]
async fn refused_tokens_use_up_no_tries() {
    // Two more failures than there are tries would be reached if a 401 counted.
    let mock = MockServer::start(|seen, before| match before {
        0 | 2 => Reply::status(503),
        1 | 3 => Reply::status(401),
        4 | 5 => Reply::status(401),
        _ => {
            assert_eq!(seen.header("authorization"), "Bearer token-4");
            form(whole(&[part(A, b"x")]))
        }
    })
    .await;
    let settings = changed(settings(), |settings| settings.requests.retry.attempts = Some(3));
    let bench = bench(mock.address(), settings);
    let heartbeats = async {
        for n in 1.. {
            bench.token.refresh_wanted().await;
            bench.token.rotate(Secret::new(format!("token-{n}")));
        }
    };
    let error = tokio::select! {
        read = bench.read_all(A) => read.err(),
        () = heartbeats => unreachable!(),
    };
    // Three 401 in a row are a refusal; those before, each after another failure, were not.
    assert_eq!(error.map(|error| (error.kind, error.blame)), Some((PortErrorKind::Denied, Blame::Server)));
    assert_eq!(mock.requests().len(), 6);
}

#[tokio::test]
async fn a_stop_ends_the_wait_for_a_server_and_the_server_is_known_to_be_away() {
    let mock = MockServer::start(|_, _| Reply::status(503).header("retry-after", "60")).await;
    let bench = bench(mock.address(), patient());
    let stop = bench.stop.clone();
    let servers = bench.client.servers().clone();
    let (opened, ()) = tokio::join!(bench.open(A), async {
        eventually("the server is known to be away", || servers.trouble().is_some()).await;
        assert_eq!(servers.trouble().unwrap().until, None, "a call waits for it");
        stop.cancel();
    });
    assert_eq!(opened.err(), Some(PortError::cancelled()));
    eventually("nothing waits any more", || servers.trouble().is_some_and(|trouble| trouble.until.is_some()))
        .await;
    let trouble = servers.trouble().unwrap();
    assert_eq!(trouble.origin, format!("http://{}", mock.address()));
    assert_eq!((trouble.kind, trouble.tasks), (ServerTroubleKind::Away, 1));
    assert!(trouble.text.contains("503"), "{trouble}");
    let unanswered = bench.ports.outputs.unanswered().unwrap();
    assert!(unanswered.blame == Blame::Server && unanswered.text.contains("503"), "{unanswered:?}");
    assert_eq!(mock.requests().len(), 1, "`Retry-After` is kept");
}

#[tokio::test]
async fn a_server_that_answers_403_to_everything_is_in_trouble_after_three_tasks() {
    let mock = MockServer::start(|_, _| Reply::status(403)).await;
    let client = Arc::new(DomainClient::new(patient()).unwrap());
    for number in 1..=3 {
        assert_eq!(client.servers().trouble(), None, "before task {number}");
        let dir = tempfile::tempdir().unwrap();
        let ports = client.for_task(TaskDomain {
            base_url: mock.url(),
            domain_id: DOMAIN.parse().unwrap(),
            token: Arc::new(TaskToken::new(Some(Secret::new("token")))),
            task_id: uuid::Uuid::from_u128(number),
            inputs_cids: Vec::new(),
            outputs_prefix: None,
            disk: TaskDisk::new(dir.path()),
            stop: CancellationToken::new(),
        });
        let error = ports.inputs.open(A).await.err().unwrap();
        assert_eq!((error.kind, error.blame), (PortErrorKind::Denied, Blame::Server), "{error}");
    }
    let trouble = client.servers().trouble().unwrap();
    assert_eq!((trouble.kind, trouble.tasks), (ServerTroubleKind::Refusing, 3));
}

#[tokio::test]
async fn trouble_of_this_nodes_disk_is_blamed_on_the_host() {
    let mock = MockServer::start(|seen, _| ordinary(seen, 0, json!(5))).await;
    let bench = bench(mock.address(), changed(settings(), |settings| settings.uploads.memory_bytes = 0));
    // Something else lies in its place.
    std::fs::remove_dir_all(bench.disk.path()).unwrap();
    std::fs::write(bench.disk.path(), "a file").unwrap();
    let error = bench.put("a", b"has to wait in a file", 100).await.unwrap_err();
    assert_eq!((error.kind, error.blame), (PortErrorKind::Other, Blame::Host), "{error}");
    assert_eq!(bench.client.servers().trouble(), None);
}

#[tokio::test]
async fn an_upload_that_is_given_up_while_its_server_is_away_is_remembered_though_its_session_is_aborted() {
    let mock = MockServer::start(|seen, _| match seen.target.contains("partNumber=") {
        true => Reply::status(503),
        false => ordinary(seen, 1, json!(400)),
    })
    .await;
    let bench = bench(mock.address(), patient());
    let servers = bench.client.servers().clone();
    let gives_up = eventually("a part waits", || servers.trouble().is_some());
    let bytes = noise(2000);
    tokio::select! {
        put = bench.put("a", &bytes, 2000) => panic!("{put:?}"),
        () = gives_up => {}
    }
    bench.client.close().await;
    assert!(lines(&mock).last().unwrap().starts_with("DELETE"));
    let unanswered = bench.ports.outputs.unanswered().unwrap();
    assert!(unanswered.blame == Blame::Server && unanswered.text.contains("503"), "{unanswered:?}");
}

/// The option of each connection of this process to a server, in milliseconds: how long the kernel waits for its peer.
fn user_timeouts(server: SocketAddr) -> Vec<u32> {
    use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
    let this = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
    let open = std::fs::read_dir("/proc/self/fd").unwrap();
    let numbers = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    // A copy of each descriptor, since nothing here owns the client's.
    let copies = numbers.filter_map(|number| pidfd_getfd(&this, number, PidfdGetfdFlags::empty()).ok());
    let to_server = copies.filter(|copy| {
        let peer = rustix::net::getpeername(copy).ok().and_then(|peer| SocketAddr::try_from(peer?).ok());
        peer == Some(server)
    });
    to_server.map(|copy| rustix::net::sockopt::tcp_user_timeout(&copy).unwrap()).collect()
}

#[tokio::test]
async fn an_upload_is_not_cut_by_the_kernel_before_the_settings_allow() {
    let mock = MockServer::start(|_, _| form(whole(&[part(A, b"x")]))).await;
    for seconds in [5, 45, 3600] {
        let settings =
            changed(settings(), |settings| settings.requests.idle_timeout = Duration::from_secs(seconds));
        let bench = bench(mock.address(), settings);
        bench.read_all(A).await.unwrap();
        let timeouts = user_timeouts(mock.address());
        assert!(!timeouts.is_empty(), "the connection is kept for the next request");
        // Several, since the clients of earlier rounds may not be gone yet; the latest has the longest.
        let longest = timeouts.iter().max().copied().unwrap_or_default();
        assert!(u64::from(longest) > seconds * 1000, "{timeouts:?} for {seconds} s");
        assert!(timeouts.iter().all(|timeout| *timeout > 30_000), "{timeouts:?}");
    }
}
