//! Inputs that are fetched before the runner asks for them, as servers should answer.

use super::*;

/// So many ids.
pub(super) fn ids(count: u128) -> Vec<String> {
    (1..=count).map(|number| uuid::Uuid::from_u128(number).to_string()).collect()
}

/// The ids that a request asks for.
pub(super) fn ids_of(request: &RecordedRequest) -> Vec<String> {
    let line = line(request);
    let (_, query) = line.split_once("ids=").unwrap();
    let ids = query.split('&').next().unwrap();
    ids.split(',').map(str::to_owned).collect()
}

/// An input: its own id as its bytes, `repeat` times.
pub(super) fn input(id: &str, repeat: usize) -> Vec<u8> {
    part(id, id.repeat(repeat).as_bytes())
}

/// A server that has these, however many are asked for at once.
async fn server(repeat: impl Fn(&str) -> usize + Send + Sync + 'static) -> MockServer {
    MockServer::start(move |request, _| {
        let parts: Vec<_> = ids_of(request).iter().map(|id| input(id, repeat(id))).collect();
        form(whole(&parts))
    })
    .await
}

/// How many ids each request asked for, in the order in which the requests arrived.
pub(super) fn sizes(mock: &MockServer) -> Vec<usize> {
    mock.requests().iter().map(|request| ids_of(request).len()).collect()
}

/// The same in ascending order: requests overlap.
fn sorted_sizes(mock: &MockServer) -> Vec<usize> {
    let mut sizes = sizes(mock);
    sizes.sort();
    sizes
}

/// All ids that were asked for.
fn asked(mock: &MockServer) -> Vec<String> {
    let mut asked: Vec<String> = mock.requests().iter().flat_map(ids_of).collect();
    asked.sort();
    asked
}

/// A runner opens an input and reads it to its end.
pub(super) async fn read(bench: &Bench, id: &str) {
    let parts = bench.read_all(id).await.unwrap();
    assert_eq!(parts.len(), 1);
    assert!(parts[0].0 == id && String::from_utf8_lossy(&parts[0].1).starts_with(id), "{id}: its own bytes");
}

#[tokio::test]
async fn a_runner_that_reads_small_inputs_in_their_order_gets_ever_more_of_them_by_one_request() {
    let all = ids(600);
    let mock = server(|_| 1).await;
    let bench = bench_with(mock.address(), settings(), |domain| domain.inputs_cids = all.clone());
    read(&bench, &all[0]).await;
    assert_eq!(sizes(&mock), [1]);
    read(&bench, &all[1]).await;
    eventually("eight more are asked for", || mock.requests().len() == 3).await;
    assert_eq!(asked(&mock), all[..10]);
    assert_eq!(bench.ports.traffic.view().inputs.count, 2, "and were not read");
    for id in &all[2..] {
        read(&bench, id).await;
    }
    assert_eq!(asked(&mock), all, "each was asked for once");
    let sizes = sizes(&mock);
    assert!(sizes.len() < 30 && sizes.iter().all(|size| *size <= 100), "{sizes:?}");
    let view = bench.ports.traffic.view();
    assert_eq!((view.inputs.count, view.inputs.first.len()), (600, 32));
    for item in view.inputs.first {
        let id = item.id.unwrap();
        assert_eq!((item.size, item.sha256), (36, hex::encode(sha2_of(id.as_bytes()))), "{id}");
    }
}

fn sha2_of(bytes: &[u8]) -> impl AsRef<[u8]> {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes)
}

#[tokio::test]
async fn what_is_fetched_at_once_is_no_more_than_the_runner_may_still_open_and_read() {
    let all = ids(40);
    for (inputs, bytes, expected) in [(5, u64::MAX, 7), (u64::MAX, 36 * 4, 6), (0, 0, 2), (1, u64::MAX, 3)] {
        let mock = server(|_| 1).await;
        let bench = bench_with(mock.address(), settings(), |domain| domain.inputs_cids = all.clone());
        read(&bench, &all[0]).await;
        bench.ports.inputs.within(inputs, bytes);
        read(&bench, &all[1]).await;
        eventually("what may be fetched is", || asked(&mock).len() >= expected).await;
        tokio::time::sleep(SHORTLY).await;
        assert_eq!(asked(&mock), all[..expected], "{inputs} inputs, {bytes} bytes");
    }
}

#[tokio::test]
async fn an_input_that_was_fetched_ahead_is_as_any_other_to_its_runner() {
    let all = ids(12);
    let mock = server(|_| 3).await;
    let bench = bench_with(mock.address(), settings(), |domain| domain.inputs_cids = all.clone());
    read(&bench, &all[0]).await;
    read(&bench, &all[1]).await;
    let mut stream = bench.open(&all[2]).await.unwrap();
    assert!(stream.read(1).await.is_err(), "there is no part to read yet");
    let info = stream.next_part().await.unwrap().unwrap();
    assert_eq!((info.data_id.as_str(), info.name.as_str(), info.size), (all[2].as_str(), "scan", 108));
    assert_eq!((info.domain_id.as_str(), info.updated_at.as_deref()), (DOMAIN, Some("2026-01-02T03:04:05Z")));
    assert!(stream.read(0).await.is_err(), "a read of no bytes");
    assert_eq!(stream.read(4).await.unwrap(), "0000");
    assert_eq!(stream.next_part().await.unwrap(), None, "the rest is skipped");
    assert_eq!(stream.read(4).await.unwrap(), "");
    assert_eq!(stream.next_part().await.unwrap(), None, "the end stays the end");
    assert_eq!(sorted_sizes(&mock), [1, 1, 8]);

    let mut stream = bench.open(&all[3]).await.unwrap();
    assert!(stream.whole(107).is_none(), "it has 108 bytes");
    let (info, bytes) = stream.whole(108).unwrap();
    assert_eq!((info.data_id.as_str(), bytes.len()), (all[3].as_str(), 108));
    assert!(stream.whole(108).is_none() && stream.next_part().await.unwrap().is_none());

    let mut stream = bench.open(&all[4]).await.unwrap();
    bench.stop.cancel();
    for error in [stream.next_part().await.unwrap_err(), bench.open(&all[5]).await.err().unwrap()] {
        assert_eq!(error.kind, posemesh_runner_api::ports::PortErrorKind::Cancelled);
    }
    assert!(stream.whole(108).is_none());
}

#[tokio::test]
async fn a_runner_that_goes_its_own_way_has_nothing_fetched_ahead_of_it() {
    let all = ids(20);
    let mock = server(|_| 1).await;
    let bench = bench_with(mock.address(), settings(), |domain| domain.inputs_cids = all.clone());
    for place in [5, 3, 3, 1, 19] {
        read(&bench, &all[place]).await;
    }
    tokio::time::sleep(SHORTLY).await;
    assert_eq!(sizes(&mock), [1; 5]);
}

#[tokio::test]
async fn what_was_fetched_ahead_is_dropped_when_the_runner_turns_elsewhere() {
    let all = ids(30);
    let mock = server(|_| 1).await;
    let bench = bench_with(mock.address(), settings(), |domain| domain.inputs_cids = all.clone());
    read(&bench, &all[0]).await;
    read(&bench, &all[1]).await;
    eventually("eight more are asked for", || mock.requests().len() == 3).await;
    // Goes on there, which shows that it will not come back.
    for place in [25, 26, 4] {
        read(&bench, &all[place]).await;
    }
    let again = asked(&mock).iter().filter(|id| **id == all[4]).count();
    assert_eq!((again, sorted_sizes(&mock)), (2, vec![1, 1, 1, 1, 1, 8]));
    assert_eq!(bench.ports.traffic.view().inputs.count, 5);

    // So do many that are read aside, in no order.
    let all = ids(60);
    let bench = bench_with(mock.address(), settings(), |domain| domain.inputs_cids = all.clone());
    let before = mock.requests().len();
    read(&bench, &all[0]).await;
    read(&bench, &all[1]).await;
    eventually("eight more are asked for", || mock.requests().len() == before + 3).await;
    for place in [50, 40, 50, 40, 50, 40, 50, 40, 50, 4] {
        read(&bench, &all[place]).await;
    }
    assert_eq!(mock.requests().len(), before + 13, "each by itself");
}

#[tokio::test]
async fn a_runner_that_reads_some_aside_goes_on_with_what_was_fetched_ahead() {
    let all = ids(200);
    let mock = server(|id| if id.ends_with("0001") { 4000 } else { 1 }).await;
    let bench = bench_with(mock.address(), settings(), |domain| domain.inputs_cids = all[1..].to_vec());
    for id in &all[1..60] {
        read(&bench, id).await;
        // Once more, then one that comes first each time, then one that is no input of the task's and is large.
        read(&bench, id).await;
        read(&bench, &all[1]).await;
        read(&bench, &all[0]).await;
    }
    let aside = sizes(&mock).iter().filter(|size| **size == 1).count();
    assert_eq!(aside, 3 * 59 + 2, "all that were read aside, and the first two");
    assert!(mock.requests().len() < aside + 10, "{:?}", sorted_sizes(&mock));
}

#[tokio::test]
async fn inputs_that_the_runner_passes_over_do_not_cost_it_those_after_them() {
    let all = ids(120);
    let mock = server(|_| 1).await;
    let bench = bench_with(mock.address(), settings(), |domain| domain.inputs_cids = all.clone());
    read(&bench, &all[0]).await;
    read(&bench, &all[1]).await;
    eventually("eight more are asked for", || mock.requests().len() == 3).await;
    for id in all[2..].iter().skip(1).step_by(2) {
        read(&bench, id).await;
    }
    assert_eq!(asked(&mock), all, "each was asked for once");
    assert!(mock.requests().len() < 20, "{:?}", sizes(&mock));
}

#[tokio::test]
async fn a_runner_may_hold_as_many_inputs_open_as_without_it() {
    let all = ids(40);
    let mock = server(|_| 1).await;
    let settings = changed(settings(), |settings| settings.downloads.max_open_inputs = 12);
    let bench = bench_with(mock.address(), settings, |domain| domain.inputs_cids = all.clone());
    let mut open = Vec::new();
    for id in &all[..12] {
        open.push(bench.open(id).await.unwrap());
    }
    for stream in &mut open {
        assert_eq!(stream.next_part().await.unwrap().unwrap().size, 36);
    }
}

#[tokio::test]
async fn only_plain_ids_of_which_none_comes_twice_are_fetched_by_one_request() {
    let mut all = ids(9);
    all.insert(4, format!("/api/v1/domains/{DOMAIN}/data?ids={}&name=scan", all[8]));
    all.insert(7, all[6].clone());
    let mock = server(|_| 1).await;
    let bench = bench_with(mock.address(), settings(), |domain| domain.inputs_cids = all.clone());
    for cid in &all {
        assert_eq!(bench.read_all(cid).await.unwrap().len(), 1, "{cid}");
    }
    let filtered: Vec<String> = lines(&mock).into_iter().filter(|line| line.contains("name=")).collect();
    assert_eq!(filtered, [format!("GET /data?ids={}&name=scan", all[10])], "alone");
    for request in mock.requests() {
        let mut ids = ids_of(&request);
        let count = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), count, "{}", request.target);
    }
}
