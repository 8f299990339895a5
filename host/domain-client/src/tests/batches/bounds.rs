//! Requests for several inputs that bring fewer than were asked for, or take their time.

use super::*;

/// Those of the ids that a server gives at once.
type Choice = fn(&[String]) -> &[String];

/// A form that begins with these bytes, after which `byte` comes again and again, for as long as somebody reads.
fn dripping(start: Vec<u8>, byte: &'static [u8]) -> Reply {
    let (sender, chunks) = mpsc::channel(1);
    tokio::spawn(async move {
        let mut next = Bytes::from(start);
        while sender.send(Ok(next)).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(10)).await;
            next = Bytes::from_static(byte);
        }
    });
    Reply::stream(FORM, chunks)
}

/// How often an input was asked for.
fn times(mock: &MockServer, id: &String) -> usize {
    mock.requests().iter().filter(|request| ids_of(request).contains(id)).count()
}

#[tokio::test]
async fn a_server_that_gives_fewer_at_once_is_asked_for_as_many_as_it_gives() {
    let choices: [Choice; 2] = [|ids| &ids[..ids.len().min(20)], |ids| &ids[ids.len().saturating_sub(20)..]];
    for chosen in choices {
        let all = ids(300);
        let (mock, bench) = task(&all, move |ids, _| form(whole(&inputs(chosen(ids))))).await;
        for id in &all {
            read(&bench, id).await;
        }
        let sizes = sizes(&mock);
        let alone = sizes.iter().filter(|size| **size == 1).count();
        let beyond = sizes.iter().filter(|size| **size > 20).count();
        assert!(alone <= 5 && beyond <= 4 && sizes.len() <= 30, "{sizes:?}");
        assert!(counts(&mock, &all).1 <= 3, "{sizes:?}");
    }
}

#[tokio::test]
async fn an_answer_is_whole_at_its_closing_boundary_whatever_follows() {
    let all = ids(200);
    let (mock, bench) = task(&all, |ids, _| dripping(whole(&inputs(ids)), b" ")).await;
    for id in &all {
        read(&bench, id).await;
    }
    let (batches, times) = counts(&mock, &all);
    assert!(batches > 4 && times == 1, "they grow, and none is given up: {:?}", sizes(&mock));
}

#[tokio::test]
async fn an_answer_whose_bytes_come_one_by_one_is_given_up() {
    let all = ids(20);
    let mock = MockServer::start(move |request, _| match ids_of(request).as_slice() {
        [id] => form(whole(&[input(id, 1)])),
        ids => {
            // The head of the third input, and of its many bytes the first.
            let third = input(&ids[2], 1000);
            let start = [inputs(&ids[..2]).concat(), third[..third.len() - 35_000].to_vec()].concat();
            dripping(start, b"0")
        }
    })
    .await;
    let settings = changed(settings(), |settings| {
        settings.requests.first_byte_timeout = Duration::from_millis(200);
        settings.requests.idle_timeout = Duration::from_millis(200);
        // A machine that is busy may keep the others waiting too.
        settings.requests.retry.attempts = None;
    });
    let bench = bench_with(mock.address(), settings, |domain| domain.inputs_cids = all.clone());
    for id in &all {
        read(&bench, id).await;
    }
    assert!(counts(&mock, &all).0 <= 3, "{:?}", sizes(&mock));
}

#[tokio::test]
async fn what_is_fetched_ahead_has_no_more_bytes_than_the_runner_may_still_read() {
    let all = ids(20);
    // After the first two, ten times as many bytes as seems likely.
    let small = all[..2].to_vec();
    let mock = MockServer::start(move |request, _| {
        let repeat = |id: &String| if small.contains(id) { 1 } else { 10 };
        form(whole(&ids_of(request).iter().map(|id| input(id, repeat(id))).collect::<Vec<_>>()))
    })
    .await;
    let bench = bench_with(mock.address(), settings(), |domain| domain.inputs_cids = all.clone());
    read(&bench, &all[0]).await;
    // Enough for two of them.
    bench.ports.inputs.within(u64::MAX, 800);
    for id in &all[1..5] {
        read(&bench, id).await;
    }
    assert!(sizes(&mock).contains(&8), "more seemed to fit: {:?}", sizes(&mock));
    let times: Vec<usize> = all[2..5].iter().map(|id| times(&mock, id)).collect();
    assert!(times[..2] == [1, 1] && times[2] > 1, "the third came only when it was wanted: {times:?}");
}
