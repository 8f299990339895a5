//! Bad days of a local network, on order: slow answers, lost connections, outages.

use std::time::Duration;

use clap::Args;
use posemesh_devnet::{Devnet, Fault};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

#[derive(Debug, Args)]
pub(crate) struct WeatherArgs {
    /// Answer every request this much later.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0)]
    latency: u64,
    /// Close this share of the connections without an answer, half of them after the request took effect.
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
    loss: f64,
    /// Answer 503 to everything for SECONDS, after as many seconds as EVERY of service, again and again.
    #[arg(long, value_name = "EVERY:SECONDS", value_parser = outage)]
    outage: Option<Outage>,
}

/// An outage that comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Outage {
    every: Duration,
    lasts: Duration,
}

impl WeatherArgs {
    /// Makes the weather until `stop` fires.
    pub(crate) async fn until(&self, devnet: &Devnet, stop: &CancellationToken) {
        let faults = devnet.faults();
        if self.latency > 0 {
            faults.add(Fault::delay_before(Duration::from_millis(self.latency)));
        }
        if self.loss > 0.0 {
            faults.add(Fault::drop_before().probability(self.loss / 200.0));
            faults.add(Fault::drop_after().probability(self.loss / 200.0));
        }
        let Some(Outage { every, lasts }) = self.outage else { return stop.cancelled().await };
        while stop.run_until_cancelled(sleep(every)).await.is_some() {
            tracing::info!(?lasts, "outage: every request is answered 503");
            let outage = faults.add(Fault::answer(503, "the network is down on order"));
            let waited = stop.run_until_cancelled(sleep(lasts)).await;
            faults.remove(outage);
            if waited.is_none() {
                return;
            }
            tracing::info!("the outage is over");
        }
    }
}

fn percent(text: &str) -> Result<f64, String> {
    let percent: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..=100.0).contains(&percent) { Ok(percent) } else { Err("must be from 0 to 100".to_owned()) }
}

fn outage(text: &str) -> Result<Outage, String> {
    let seconds = |text: &str| text.parse().ok().filter(|seconds| *seconds > 0).map(Duration::from_secs);
    let parsed = text.split_once(':').and_then(|(every, lasts)| Some((seconds(every)?, seconds(lasts)?)));
    let (every, lasts) = parsed.ok_or("must be two whole numbers of seconds above 0, such as 60:5")?;
    Ok(Outage { every, lasts })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn weather_is_ordered_in_words_that_are_checked() {
        let expected = Outage { every: Duration::from_secs(60), lasts: Duration::from_secs(5) };
        assert_eq!(outage("60:5").unwrap(), expected);
        for wrong in ["60", "0:5", "60:0", "a:b", "1:2:3"] {
            assert!(outage(wrong).unwrap_err().contains("60:5"), "{wrong}");
        }
        assert!((percent("2.5").unwrap() - 2.5).abs() < f64::EPSILON);
        for wrong in ["-1", "101", "nan", "x"] {
            percent(wrong).unwrap_err();
        }
    }
}
