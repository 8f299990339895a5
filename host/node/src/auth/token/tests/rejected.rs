//! A DMS that refuses tokens, and a DDS that asks to be left alone.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_dms_that_refuses_every_token_does_not_cause_a_flood_of_logins() {
    let running = start(&[Next::Token(HOUR)]);
    let begin = Instant::now();
    while begin.elapsed() < 600 * SECOND {
        match running.manager.bearer().await {
            Ok(token) => running.manager.on_unauthorized(&token),
            // What a poll meets meanwhile, at once and in words.
            Err(error) => {
                assert!(error.to_string().contains("DMS has refused the last"), "{error}");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
    let started = running.script.started.lock().unwrap().clone();
    assert!((6..=12).contains(&started.len()), "{} logins in ten minutes", started.len());
    assert!(started[1] - started[0] < SECOND, "the first refusal is answered by a login at once");
    let gaps: Vec<_> = started.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // Apart from the jitter, which may make one of them shorter than the one before.
    assert!(gaps.windows(2).skip(1).all(|pair| 2 * pair[1] > pair[0]), "ever longer waits: {gaps:?}");
    assert!(gaps.last() > gaps.get(1).map(|first| 4 * *first).as_ref(), "ever longer waits: {gaps:?}");
}

#[tokio::test(start_paused = true)]
async fn a_dms_that_takes_a_token_for_a_moment_only_does_not_cause_a_flood_either() {
    let running = start(&[Next::Token(HOUR)]);
    let begin = Instant::now();
    while begin.elapsed() < 600 * SECOND {
        if let Ok(token) = running.manager.bearer().await {
            running.manager.on_accepted(&token);
            running.manager.on_unauthorized(&token);
        }
        sleep(SECOND / 4).await;
    }
    assert!(running.script.logins() <= 75, "{} logins in ten minutes", running.script.logins());
}

#[tokio::test(start_paused = true)]
async fn a_token_that_dms_took_for_long_is_replaced_at_once_whatever_was_before() {
    let running = start(&[Next::Token(HOUR)]);
    for _ in 0..3 {
        let Ok(token) = running.manager.bearer().await else { break };
        running.manager.on_unauthorized(&token);
    }
    sleep(60 * SECOND).await;
    let good = running.manager.bearer().await.unwrap();
    running.manager.on_accepted(&good);
    sleep(120 * SECOND).await;
    running.manager.on_unauthorized(&good);
    let asked = Instant::now();
    assert_ne!(running.bearer().await.unwrap(), good.expose());
    assert!(asked.elapsed() < SECOND, "after {:?}", asked.elapsed());
}

#[tokio::test(start_paused = true)]
async fn retry_after_of_dds_holds_for_logins_even_when_dms_refuses_the_token() {
    let running =
        start(&[Next::Busy(100 * SECOND), Next::Token(HOUR), Next::Busy(60 * SECOND), Next::Token(HOUR)]);
    running.bearer().await.unwrap_err();
    sleep(100 * SECOND).await;
    let token = running.manager.bearer().await.unwrap();
    let started = running.script.started.lock().unwrap().clone();
    assert_eq!(started.len(), 2, "nothing was asked in between");
    assert!(started[1] - started[0] >= 100 * SECOND);
    // The renewal fails, with the wish for a minute's rest, and in that minute DMS refuses the token.
    sleep(Duration::from_secs(2702)).await;
    assert_eq!(running.script.logins(), 3);
    running.manager.on_unauthorized(&token);
    sleep(60 * SECOND).await;
    running.manager.bearer().await.unwrap();
    let started = running.script.started.lock().unwrap().clone();
    assert!(started[3] - started[2] >= 60 * SECOND, "{:?}", started[3] - started[2]);
}
