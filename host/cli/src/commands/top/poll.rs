//! Asks the node again and again, beside the screen: a node that hangs must not keep keys from being heard.

use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::sync::mpsc::{self, Receiver};
use tokio::time::{sleep, timeout};

use crate::node_api::{NodeApi, NodeApiArgs};
use crate::overview::Overview;

/// The time between an answer and the next request.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How the node is, or why it does not say.
pub(super) type Answer = Result<Overview, String>;

pub(super) struct Poll {
    args: NodeApiArgs,
    api: Option<NodeApi>,
}

impl Poll {
    pub(super) fn new(args: NodeApiArgs) -> Self {
        Self { args, api: None }
    }

    /// Asks once.
    ///
    /// # Errors
    /// When no node answers in time.
    pub(super) async fn ask(&mut self) -> Result<Overview> {
        let api = match self.api.take() {
            Some(api) => api,
            // A node that was started anew has another socket.
            None => NodeApi::new(&self.args)?,
        };
        let answer = timeout(TIMEOUT, api.status());
        let answer = answer.await.with_context(|| format!("no answer within {} s", TIMEOUT.as_secs()))??;
        self.api = Some(api);
        serde_json::from_value(answer).context("reading the node's answer")
    }

    /// Asks from now on; the answers.
    pub(super) fn start(mut self) -> Receiver<Answer> {
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            loop {
                sleep(INTERVAL).await;
                let answer = self.ask().await.map_err(|error| format!("{error:#}"));
                if sender.send(answer).await.is_err() {
                    return;
                }
            }
        });
        receiver
    }
}
