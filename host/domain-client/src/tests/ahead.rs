//! Inputs that are opened before the runner asks for them.

use super::*;

fn ids(count: u128) -> Vec<String> {
    (1..=count).map(|number| uuid::Uuid::from_u128(number).to_string()).collect()
}

/// A server that has these, each with its own id as its bytes, `repeat` times.
async fn server(repeat: impl Fn(&str) -> usize + Send + Sync + 'static) -> MockServer {
    MockServer::start(move |request, _| {
        let id = line(request).rsplit('=').next().unwrap().to_owned();
        form(whole(&[part(&id, id.repeat(repeat(&id)).as_bytes())]))
    })
    .await
}

fn asked(mock: &MockServer) -> Vec<String> {
    let mut asked: Vec<String> =
        lines(mock).iter().map(|line| line.rsplit('=').next().unwrap().to_owned()).collect();
    asked.sort();
    asked
}

async fn read(bench: &Bench, id: &str) {
    let parts = bench.read_all(id).await.unwrap();
    assert_eq!(parts.len(), 1);
    assert!(parts[0].0 == id && String::from_utf8_lossy(&parts[0].1).starts_with(id), "{id}: its own bytes");
}

#[tokio::test]
async fn a_runner_that_reads_small_inputs_in_their_order_finds_the_next_ones_on_their_way() {
    let all = ids(20);
    let mock = server(|_| 1).await;
    let bench = bench_with(mock.address(), settings(), |domain| domain.inputs_cids = all.clone());
    read(&bench, &all[0]).await;
    assert_eq!(asked(&mock), all[..1]);
    read(&bench, &all[1]).await;
    eventually("eight more are asked for", || mock.requests().len() == 10).await;
    assert_eq!(asked(&mock), all[..10]);
    assert_eq!(bench.ports.traffic.view().inputs.count, 2, "and were not read");
    for id in &all[2..] {
        read(&bench, id).await;
    }
    assert_eq!(asked(&mock), all, "each was asked for once");
    assert_eq!(bench.ports.traffic.view().inputs.count, 20);
}

#[tokio::test]
async fn a_runner_that_goes_its_own_way_has_nothing_opened_ahead_of_it() {
    let all = ids(20);
    let mock = server(|_| 1).await;
    let bench = bench_with(mock.address(), settings(), |domain| domain.inputs_cids = all.clone());
    for place in [5, 3, 3, 1, 19] {
        read(&bench, &all[place]).await;
    }
    tokio::time::sleep(SHORTLY).await;
    assert_eq!(mock.requests().len(), 5);
}

#[tokio::test]
async fn what_was_opened_ahead_is_dropped_when_the_runner_turns_elsewhere() {
    let all = ids(30);
    let mock = server(|_| 1).await;
    let bench = bench_with(mock.address(), settings(), |domain| domain.inputs_cids = all.clone());
    read(&bench, &all[0]).await;
    read(&bench, &all[1]).await;
    eventually("eight more are asked for", || mock.requests().len() == 10).await;
    read(&bench, &all[25]).await;
    read(&bench, &all[4]).await;
    let again = asked(&mock).iter().filter(|id| **id == all[4]).count();
    assert_eq!((again, mock.requests().len()), (2, 12));
    assert_eq!(bench.ports.traffic.view().inputs.count, 4);
}

#[tokio::test]
async fn large_inputs_are_not_opened_ahead() {
    let all = ids(20);
    // 36 bytes an id: the first three are small.
    let small = all[..3].to_vec();
    let mock = server(move |id| if small.iter().any(|small| small == id) { 1 } else { 4000 }).await;
    let bench = bench_with(mock.address(), settings(), |domain| domain.inputs_cids = all.clone());
    for id in &all[..6] {
        read(&bench, id).await;
    }
    tokio::time::sleep(SHORTLY).await;
    let seen = mock.requests().len();
    for id in &all[6..] {
        read(&bench, id).await;
    }
    tokio::time::sleep(SHORTLY).await;
    assert_eq!(mock.requests().len() - seen, 14, "once it is known, each is asked for once");
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
