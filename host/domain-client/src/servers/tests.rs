#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;
use std::time::Duration;

use posemesh_runner_api::failure::Blame;
use tokio::time::Instant;
use uuid::Uuid;

use super::*;

const ORIGIN: &str = "https://ds.example";

fn task(servers: &Servers, number: u128) -> Arc<TaskAtServer> {
    Arc::new(TaskAtServer::new(servers.clone(), ORIGIN.to_owned(), Uuid::from_u128(number)))
}

#[tokio::test(start_paused = true)]
async fn a_server_is_away_while_a_call_waits_for_it_and_back_with_its_next_answer() {
    let servers = Servers::default();
    let mut changes = servers.changes();
    let one = task(&servers, 1);
    let mut wait = one.wait();
    wait.failed(Blame::Server, "connection refused\n".repeat(100));
    let trouble = servers.trouble().unwrap();
    assert_eq!(
        (trouble.origin.as_str(), trouble.kind, trouble.until),
        (ORIGIN, ServerTroubleKind::Away, None)
    );
    assert!(trouble.text.len() < 400 && !trouble.text.contains('\n'), "{}", trouble.text);
    tokio::time::advance(Duration::from_secs(1800)).await;
    assert!(servers.trouble().is_some(), "as long as the call waits");
    assert!(trouble.to_string().contains("has not worked for 1800 s"), "{trouble}");
    changes.mark_unchanged();
    wait.over();
    one.succeeded();
    assert_eq!(servers.trouble(), None);
    assert!(changes.has_changed().unwrap());
    assert_eq!(one.waits().unanswered(), None);
}

#[tokio::test(start_paused = true)]
async fn the_pause_after_the_last_call_grows_with_each_task_and_ends_by_itself() {
    let servers = Servers::default();
    for (number, seconds) in [(1, 5), (2, 10), (3, 20), (4, 40), (5, 80), (6, 160), (7, 300), (8, 300)] {
        let task = task(&servers, number);
        let mut wait = task.wait();
        wait.failed(Blame::Server, "503".to_owned());
        tokio::time::advance(Duration::from_secs(60)).await;
        wait.failed(Blame::Server, "504".to_owned());
        drop(wait);
        let wait = UnansweredCall { blame: Blame::Server, text: "504".to_owned() };
        assert_eq!(task.waits().unanswered(), Some(wait), "it was ended from outside");
        let trouble = servers.trouble().unwrap();
        assert_eq!(trouble.until, Some(Instant::now() + Duration::from_secs(seconds)), "{number} tasks");
        assert_eq!(u128::from(trouble.tasks), number);
    }
    tokio::time::advance(Duration::from_secs(301)).await;
    assert_eq!(servers.trouble(), None);
}

#[test]
fn a_server_that_refuses_task_after_task_is_in_trouble_until_one_gets_on_with_it() {
    let servers = Servers::default();
    // The same task again is one task, and an answer in between is no success of the task.
    for number in [1, 1, 2, 2, 1, 2] {
        let task = task(&servers, number);
        task.succeeded();
        task.refused("403");
        task.refused("403");
    }
    assert_eq!(servers.trouble(), None, "two tasks may be wrong themselves");
    task(&servers, 3).refused("403");
    let trouble = servers.trouble().unwrap();
    assert_eq!((trouble.kind, trouble.tasks), (ServerTroubleKind::Refusing, 3));
    // A task that asked for nothing says nothing.
    drop(task(&servers, 4));
    assert!(servers.trouble().is_some());
    task(&servers, 5).succeeded();
    assert_eq!(servers.trouble(), None);
}

const MISSING: Refusal = Refusal { what: "downloading an input", status: 404, reads: true };
const TOO_LARGE: Refusal = Refusal { what: "storing an artifact", status: 413, reads: false };

#[test]
fn the_same_refusal_to_three_tasks_in_a_row_is_the_servers_doing() {
    let servers = Servers::default();
    let tasks: Vec<_> = (1..=4).map(|number| task(&servers, number)).collect();
    // Two tasks that run at the same time and try again and again are two tasks.
    for _ in 0..10 {
        assert_eq!(tasks[0].refused_alike(MISSING, "404"), None);
        assert_eq!(tasks[1].refused_alike(MISSING, "404"), None);
    }
    assert_eq!(tasks[2].refused_alike(TOO_LARGE, "413"), None, "another refusal is counted apart");
    assert_eq!(servers.trouble(), None);
    assert_eq!(tasks[2].refused_alike(MISSING, "404"), Some(3));
    let trouble = servers.trouble().unwrap();
    assert_eq!((trouble.kind, trouble.tasks), (ServerTroubleKind::SameRefusal, 3));
    assert!(trouble.to_string().contains("has given every task the same refusal"), "{trouble}");
    assert_eq!(tasks[0].refused_alike(MISSING, "404"), Some(3), "once known, it is so for every task");
    tasks[3].worked("storing an artifact");
    assert_eq!(servers.trouble(), None);
    assert_eq!(tasks[3].refused_alike(MISSING, "404"), None, "counted anew");
}

#[test]
fn attempts_of_two_tasks_that_take_turns_are_two_tasks() {
    let servers = Servers::default();
    for attempt in 0..6 {
        for number in [1, 2] {
            assert_eq!(task(&servers, number).refused_alike(MISSING, "404"), None, "attempt {attempt}");
        }
    }
    assert_eq!(task(&servers, 3).refused_alike(MISSING, "404"), Some(3));
}

#[test]
fn a_server_that_does_for_one_task_what_it_refused_another_is_not_to_blame() {
    let servers = Servers::default();
    for number in 1..=20 {
        let task = task(&servers, number);
        // An upload that begins well says nothing of the parts that are refused then.
        task.worked("beginning an upload");
        assert_eq!(task.refused_alike(TOO_LARGE, "413").is_some(), number >= 3, "task {number}");
    }
    for number in 21..=40 {
        let task = task(&servers, number);
        assert_eq!(task.refused_alike(MISSING, "404"), None, "a part that need not be there");
        assert_eq!(task.refused_alike(TOO_LARGE, "413"), (number == 21).then_some(21), "task {number}");
        task.worked("storing an artifact");
    }
    assert_eq!(servers.trouble(), None);
}

#[test]
fn of_many_servers_the_latest_are_remembered() {
    let servers = Servers::default();
    for number in 0..1000_u128 {
        let origin = format!("https://{number}.example");
        let task = Arc::new(TaskAtServer::new(servers.clone(), origin, Uuid::from_u128(number)));
        task.failed("down");
    }
    assert_eq!(servers.troubles().len(), 64);
    assert!(servers.troubles().iter().any(|trouble| trouble.origin == "https://999.example"));
}

#[test]
fn a_shortage_of_this_node_is_no_trouble_of_the_server() {
    let servers = Servers::default();
    let task = task(&servers, 1);
    let mut wait = task.wait();
    wait.failed(Blame::Host, "too many open files".to_owned());
    assert_eq!(servers.trouble(), None);
    drop(wait);
    assert_eq!(servers.trouble(), None);
    assert_eq!(task.waits().unanswered().map(|wait| wait.blame), Some(Blame::Host));
}
