#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::config::Environment;

fn config(more: &[(&str, &str)]) -> Result<Config, String> {
    let key = "01".repeat(32);
    let base = [
        ("REG_SECRET", "hunter2"),
        ("SECP256K1_PRIVHEX", key.as_str()),
        ("PLUGINS_DIR", "/srv/runners"),
        ("HOME", "/home/node"),
        ("MEMORY_BUDGET", "1GiB"),
    ];
    // The last of two counts.
    let environment: Environment = base.into_iter().chain(more.iter().copied()).collect();
    Config::load(&environment).map_err(|problems| problems.to_string())
}

/// A reload that reads what stands in `given`.
fn reload_of(
    given: &Arc<Mutex<Vec<(&'static str, &'static str)>>>,
) -> (Reload, watch::Receiver<usize>, LiveBudget) {
    let slots = watch::Sender::new(1);
    let budget = LiveBudget::new(MemoryBudget::of(1 << 30));
    let given = given.clone();
    let read: ReadSettings = Arc::new(move || config(&given.lock().unwrap()));
    let seen = slots.subscribe();
    let reload = Reload::new(config(&[]).unwrap(), Some(read), slots, budget.clone(), AuditLog::default());
    (reload, seen, budget)
}

#[tokio::test]
async fn what_can_take_effect_does_and_the_rest_is_named() {
    let given = Arc::new(Mutex::new(vec![
        ("MAX_CONCURRENCY", "3"),
        ("MEMORY_BUDGET", "2GiB"),
        ("PLUGINS_DIR", "/elsewhere"),
        ("REG_SECRET", "hunter3"),
    ]));
    let (reload, slots, budget) = reload_of(&given);
    let reloaded = reload.reload("test").await.unwrap();
    let changed: Vec<_> = reloaded.changed.iter().map(|one| (one.name, one.after.as_str())).collect();
    assert_eq!(changed, [("MAX_CONCURRENCY", "3"), ("MEMORY_BUDGET", "2GiB")]);
    assert_eq!(reloaded.needs_restart, ["PLUGINS_DIR", "REG_SECRET"]);
    assert_eq!((*slots.borrow(), budget.now().bytes()), (3, 2 << 30));
    assert!(reload.warnings()[0].ends_with("PLUGINS_DIR, REG_SECRET"), "{:?}", reload.warnings());
    let shown = reload.settings();
    assert!(shown.iter().any(|one| one[0] == "MAX_CONCURRENCY" && one[1] == "3"), "{shown:?}");
    assert!(shown.iter().any(|one| one[0] == "PLUGINS_DIR" && one[1] == "/srv/runners"), "what it runs with");
    // Once more: what has taken effect is no change any more, and what waits is named again.
    let again = reload.reload("test").await.unwrap();
    assert_eq!((again.changed.len(), again.needs_restart.len()), (0, 2));
    // Taken back.
    given.lock().unwrap().clear();
    let back = reload.reload("test").await.unwrap();
    assert_eq!((back.changed.len(), back.needs_restart.len()), (2, 0));
    assert_eq!((*slots.borrow(), budget.now().bytes()), (1, 1 << 30));
    assert_eq!(reload.warnings(), [""; 0]);
}

#[tokio::test]
async fn settings_that_are_wrong_change_nothing_and_are_told_of_until_they_are_right() {
    let given = Arc::new(Mutex::new(vec![("MAX_CONCURRENCY", "3"), ("REQUEST_TIMEOUT_SECS", "0")]));
    let (reload, slots, _) = reload_of(&given);
    let wrong = reload.reload("test").await.unwrap_err();
    assert!(wrong.contains("REQUEST_TIMEOUT_SECS=0: out of range"), "{wrong}");
    assert_eq!(*slots.borrow(), 1);
    let warnings = reload.warnings();
    assert!(warnings[0].contains("REQUEST_TIMEOUT_SECS=0") && warnings[0].contains("those from before hold"));
    given.lock().unwrap().pop();
    reload.reload("test").await.unwrap();
    assert_eq!((*slots.borrow(), reload.warnings()), (3, Vec::new()));
}
