//! How a new generation is tried on a share of the new tasks before it takes over. `registry::trial` does it.

use serde::Deserialize;

/// `[canary]` in `NAME.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CanaryPolicy {
    /// The share of the new tasks that a new generation gets: above 0, at most 1.
    #[serde(deserialize_with = "share")]
    pub share: f64,
    /// The number of judged runs (completed, or failed by the runner's fault) after which the canary is judged.
    #[serde(default = "default_tasks", deserialize_with = "at_least_one")]
    pub tasks: u64,
    /// The share of failed runs above which the canary is rolled back; else it goes live.
    #[serde(default = "default_failure_share", deserialize_with = "ratio")]
    pub max_failure_share: f64,
}

fn default_tasks() -> u64 {
    20
}

fn default_failure_share() -> f64 {
    0.1
}

fn share<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let share = ratio(deserializer)?;
    // A share of 0 would give the canary no task, and its trial would never end.
    if share > 0.0 { Ok(share) } else { Err(serde::de::Error::custom("must be above 0 and at most 1")) }
}

fn ratio<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let ratio = f64::deserialize(deserializer)?;
    // A range rather than two comparisons that refuse: NaN lies in no range.
    let fits = (0.0..=1.0).contains(&ratio);
    if fits { Ok(ratio) } else { Err(serde::de::Error::custom("must be from 0 to 1")) }
}

fn at_least_one<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let number = u64::deserialize(deserializer)?;
    if number > 0 { Ok(number) } else { Err(serde::de::Error::custom("must be at least 1")) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn policy(text: &str) -> Result<CanaryPolicy, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for text in
            ["share = 0", "share = 1.5", "share = nan", "share = 0.1\ntasks = 0", "tasks = 3", "shar = 1"]
        {
            policy(text).unwrap_err();
        }
        assert_eq!(policy("share = 1").unwrap().tasks, 20);
    }
}
