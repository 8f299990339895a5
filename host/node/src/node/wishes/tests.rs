#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use serde_json::Value;

use super::*;

type Wish = fn(&Shutdown);

/// What was asked for, as the lines of the file say.
fn wishes(path: &std::path::Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|line| line["wish"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn each_wish_is_a_line_whoever_it_came_from() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.jsonl");
    let audit = AuditLog::open(Some(path.clone())).unwrap();
    let (shutdown, stop) = (Shutdown::new(), CancellationToken::new());
    let recorded = tokio::spawn({
        let (audit, shutdown, stop) = (audit.clone(), shutdown.clone(), stop.clone());
        async move { record_wishes(audit, &shutdown, stop).await }
    });
    let steps: [(&str, Wish); 5] = [
        ("drain", |shutdown| shutdown.drain(AfterDrain::Stop)),
        ("resume", Shutdown::resume),
        ("pause", |shutdown| shutdown.drain(AfterDrain::Stay)),
        ("stop", Shutdown::stop),
        ("kill", Shutdown::kill),
    ];
    let mut wanted = Vec::new();
    for (wish, ask) in steps {
        wanted.push(wish.to_owned());
        ask(&shutdown);
        while wishes(&path) != wanted {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
    stop.cancel();
    recorded.await.unwrap();
}
