//! Requests for several inputs that do not go as they should: each input is what it would have been by itself.

mod bounds;

use posemesh_runner_api::ports::PortErrorKind;

use super::ahead::{ids, ids_of, input, read, sizes};
use super::*;

/// The parts of an answer to a request for these ids.
type Parts = fn(&[String]) -> Vec<Vec<u8>>;

/// A task of these inputs at a server that answers as `script` says when several are asked for, and as it should else.
async fn task(
    all: &[String],
    script: impl Fn(&[String], usize) -> Reply + Send + Sync + 'static,
) -> (MockServer, Bench) {
    let mock = MockServer::start(move |request, before| match ids_of(request).as_slice() {
        [id] => form(whole(&[input(id, 1)])),
        ids => script(ids, before),
    })
    .await;
    let bench = bench_with(mock.address(), settings(), |domain| domain.inputs_cids = all.to_vec());
    (mock, bench)
}

fn inputs(ids: &[String]) -> Vec<Vec<u8>> {
    ids.iter().map(|id| input(id, 1)).collect()
}

/// How many of a server's requests asked for several inputs, and how often the most wanted input was asked for.
fn counts(mock: &MockServer, all: &[String]) -> (usize, usize) {
    let times = |id: &String| mock.requests().iter().filter(|request| ids_of(request).contains(id)).count();
    (sizes(mock).iter().filter(|size| **size > 1).count(), all.iter().map(times).max().unwrap())
}

#[tokio::test]
async fn a_server_that_refuses_several_at_once_is_asked_for_each() {
    for status in [400, 403, 404, 414, 500, 503] {
        let all = ids(60);
        let (mock, bench) = task(&all, move |_, _| Reply::text(status, "one at a time")).await;
        for id in &all {
            read(&bench, id).await;
        }
        let (batches, times) = counts(&mock, &all);
        assert!(batches <= 3 && times <= 4, "{status}: {:?}", sizes(&mock));
        assert!(bench.ports.inputs.unanswered().is_none(), "nothing waits for another try");
        assert!(bench.client.servers().troubles().is_empty(), "{status}: the server is in no trouble");
        assert_eq!(bench.ports.traffic.view().inputs.count, 60);
    }
}

#[tokio::test]
async fn one_failure_makes_requests_smaller_and_they_grow_again() {
    let all = ids(400);
    let (mock, bench) = task(&all, |ids, before| match before {
        5 => Reply::status(503),
        _ => form(whole(&inputs(ids))),
    })
    .await;
    for id in &all {
        read(&bench, id).await;
    }
    let (batches, times) = counts(&mock, &all);
    assert!(batches > 5 && times <= 2 && mock.requests().len() < 60, "{:?}", sizes(&mock));
}

#[tokio::test]
async fn an_input_that_is_missing_among_others_is_asked_for_by_itself() {
    let all = ids(40);
    let missing = [all[5].clone(), all[9].clone(), all[30].clone()];
    let gone = missing.clone();
    let mock = MockServer::start(move |request, _| {
        let parts: Vec<_> =
            ids_of(request).iter().filter(|id| !gone.contains(id)).map(|id| input(id, 1)).collect();
        form(whole(&parts))
    })
    .await;
    let bench = bench_with(mock.address(), settings(), |domain| domain.inputs_cids = all.clone());
    for id in &all {
        if missing.contains(id) {
            let error = bench.read_all(id).await.unwrap_err();
            assert_eq!(error.kind, PortErrorKind::NotFound, "{error}");
        } else {
            read(&bench, id).await;
        }
    }
    assert!(mock.requests().len() < 16, "{:?}", sizes(&mock));
    assert_eq!(bench.ports.traffic.view().inputs.count, 37);
}

#[tokio::test]
async fn parts_may_come_in_any_order() {
    let all = ids(300);
    let (mock, bench) = task(&all, |ids, _| {
        let mut parts = inputs(ids);
        parts.reverse();
        form(whole(&parts))
    })
    .await;
    for id in &all {
        read(&bench, id).await;
    }
    assert_eq!(counts(&mock, &all).1, 1, "{:?}", sizes(&mock));
}

#[tokio::test]
async fn an_answer_that_is_broken_gives_what_came_before_the_break_and_the_rest_is_asked_for_again() {
    let other = "eeeeeeee-eeee-4eee-8eee-eeeeeeeeeeee";
    let breaks: [(&str, Parts); 5] = [
        ("a part twice", |ids| {
            let mut parts = inputs(ids);
            parts.insert(3, parts[2].clone());
            parts
        }),
        ("a part that nobody asked for", |ids| {
            let mut parts = inputs(ids);
            parts.insert(3, input("eeeeeeee-eeee-4eee-8eee-eeeeeeeeeeee", 1));
            parts
        }),
        ("a part of another domain", |ids| {
            let mut parts = inputs(ids);
            let text = String::from_utf8(parts[3].clone()).unwrap();
            parts[3] = text.replace(DOMAIN, "eeeeeeee-eeee-4eee-8eee-eeeeeeeeeeee").into();
            parts
        }),
        ("a part that is longer than it says", |ids| {
            let mut parts = inputs(ids);
            let text = String::from_utf8(parts[3].clone()).unwrap();
            parts[3] = text.replace("size=\"36\"", "size=\"20\"").into();
            parts
        }),
        ("no form", |_| vec![b"\0\0\0".to_vec()]),
    ];
    for (what, parts) in breaks {
        let all = ids(40);
        let (mock, bench) = task(&all, move |ids, _| form(whole(&parts(ids)))).await;
        for id in &all {
            let parts = bench.read_all(id).await.unwrap();
            assert_eq!(parts, [(id.clone(), id.clone().into_bytes())], "{what}");
        }
        let (batches, times) = counts(&mock, &all);
        assert!(batches <= 3 && times <= 4, "{what}: {:?}", sizes(&mock));
        assert!(!mock.requests().iter().any(|request| request.target.contains(other)));
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_gives_what_is_whole() {
    for cleanly in [true, false] {
        let all = ids(40);
        let (mock, bench) = task(&all, move |ids, _| {
            let body = whole(&inputs(ids));
            // Within the fourth part.
            let start = &body[..inputs(&ids[..3]).concat().len() + 20];
            if cleanly { form(start.to_vec()) } else { broken(start, true) }
        })
        .await;
        for id in &all {
            read(&bench, id).await;
        }
        let (batches, times) = counts(&mock, &all);
        assert!(batches <= 3 && times <= 4, "{:?}", sizes(&mock));
    }
}

#[tokio::test]
async fn an_answer_that_stalls_is_given_up() {
    let all = ids(20);
    let (mock, bench) = {
        let mock = MockServer::start(move |request, before| match (ids_of(request).as_slice(), before) {
            ([id], _) => form(whole(&[input(id, 1)])),
            (_, 2) => Reply::never(),
            (ids, _) => broken(&inputs(&ids[..ids.len().min(3)]).concat(), false),
        })
        .await;
        let settings = changed(settings(), |settings| {
            settings.requests.first_byte_timeout = Duration::from_millis(50);
            settings.requests.idle_timeout = Duration::from_millis(50);
            // A machine that is busy may keep the others waiting too.
            settings.requests.retry.attempts = None;
        });
        let bench = bench_with(mock.address(), settings, |domain| domain.inputs_cids = all.clone());
        (mock, bench)
    };
    for id in &all {
        read(&bench, id).await;
    }
    assert!(counts(&mock, &all).0 <= 3, "{:?}", sizes(&mock));
}

#[tokio::test]
async fn large_inputs_are_fetched_by_themselves_and_once_it_is_known_nothing_is_fetched_ahead_of_them() {
    let all = ids(20);
    // 36 bytes an id: the first three are small.
    let small = all[..3].to_vec();
    let mock = MockServer::start(move |request, _| {
        let repeat = |id: &String| if small.contains(id) { 1 } else { 4000 };
        form(whole(&ids_of(request).iter().map(|id| input(id, repeat(id))).collect::<Vec<_>>()))
    })
    .await;
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
    assert_eq!(sizes(&mock)[seen..], [1; 14], "once it is known, each is asked for once");
}

#[tokio::test]
async fn inputs_that_are_small_and_large_in_turn_are_soon_left_to_the_runner() {
    let all = ids(90);
    let large: Vec<String> = all.iter().skip(5).step_by(5).cloned().collect();
    let mock = MockServer::start(move |request, _| {
        let repeat = |id: &String| if large.contains(id) { 4000 } else { 1 };
        form(whole(&ids_of(request).iter().map(|id| input(id, repeat(id))).collect::<Vec<_>>()))
    })
    .await;
    let bench = bench_with(mock.address(), settings(), |domain| domain.inputs_cids = all.clone());
    for id in &all {
        read(&bench, id).await;
    }
    assert!(counts(&mock, &all).0 <= 3, "{:?}", sizes(&mock));
}

#[tokio::test]
async fn a_batch_has_no_more_bytes_than_are_kept_for_it() {
    let all = ids(200);
    // 64,800 bytes each: sixteen are no more than 1 MiB.
    let mock = MockServer::start(move |request, _| {
        form(whole(&ids_of(request).iter().map(|id| input(id, 1800)).collect::<Vec<_>>()))
    })
    .await;
    let bench = bench_with(mock.address(), settings(), |domain| domain.inputs_cids = all.clone());
    for id in &all {
        read(&bench, id).await;
    }
    assert!(sizes(&mock).iter().all(|size| *size <= 16), "{:?}", sizes(&mock));
    assert_eq!(counts(&mock, &all).1, 1);

    // Inputs that grow: what passes the bound is given up, and each is read all the same.
    let all = ids(120);
    let grown = all[60..].to_vec();
    let mock = MockServer::start(move |request, _| {
        let repeat = |id: &String| if grown.contains(id) { 1800 } else { 1 };
        form(whole(&ids_of(request).iter().map(|id| input(id, repeat(id))).collect::<Vec<_>>()))
    })
    .await;
    let bench = bench_with(mock.address(), settings(), |domain| domain.inputs_cids = all.clone());
    for id in &all {
        read(&bench, id).await;
    }
    assert!(counts(&mock, &all).1 <= 3, "{:?}", sizes(&mock));
}

#[tokio::test]
async fn a_refused_token_is_replaced_for_a_batch_as_for_any_request() {
    let all = ids(30);
    let mock =
        MockServer::start(move |request, _| match (ids_of(request), request.header("authorization")) {
            (ids, "Bearer token-0") if ids.len() > 1 => Reply::status(401),
            (ids, _) => form(whole(&inputs(&ids))),
        })
        .await;
    let bench = bench_with(mock.address(), settings(), |domain| domain.inputs_cids = all.clone());
    let token = Arc::clone(&bench.token);
    let rotation = tokio::spawn(async move {
        token.refresh_wanted().await;
        token.rotate(Secret::new("token-1"));
    });
    for id in &all {
        read(&bench, id).await;
    }
    rotation.await.unwrap();
    assert!(counts(&mock, &all).1 <= 2 && mock.requests().len() < 10, "{:?}", sizes(&mock));
}

#[tokio::test]
async fn a_cancelled_task_waits_for_no_batch() {
    let all = ids(30);
    let (_mock, bench) = task(&all, |_, _| Reply::never()).await;
    read(&bench, &all[0]).await;
    read(&bench, &all[1]).await;
    let (opened, ()) = tokio::join!(bench.open(&all[2]), async {
        tokio::time::sleep(SHORTLY).await;
        bench.stop.cancel();
    });
    assert_eq!(opened.err().unwrap().kind, PortErrorKind::Cancelled);
}
