//! Inputs that are opened before the runner asks for them. A task may have thousands of small ones: a runner that reads them
//! in their order need not wait for each request.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use posemesh_runner_api::ports::PortError;
use tokio_util::task::AbortOnDropHandle;

use crate::inputs::opener::InputOpener;
use crate::inputs::stream::DownloadStream;

/// How many are opened ahead.
const AT_ONCE: usize = 8;
/// How many the runner has opened in their order before any is.
const IN_ORDER: usize = 2;
/// The largest first part of an input that is worth it, in bytes. A larger one would hold its connection and its share of the
/// memory for as long as the runner reads those before it.
const SMALL: u64 = 64 << 10;

/// An input that is being opened; none if it is too large to be opened ahead.
type Opening = AbortOnDropHandle<Result<Option<DownloadStream>, PortError>>;

/// The inputs of a task that are opened ahead.
pub(super) struct OpenAhead {
    opener: Arc<InputOpener>,
    /// The task's inputs, in their order.
    cids: Vec<String>,
    order: Mutex<Order>,
}

#[derive(Default)]
struct Order {
    /// The place of the input that comes next if the runner goes on in order.
    next: usize,
    /// How many it has opened in order.
    in_order: usize,
    /// Whether the last one was small.
    small: bool,
    /// Those from `next` on that were opened ahead.
    opened: VecDeque<Opening>,
}

impl OpenAhead {
    pub(super) fn new(opener: Arc<InputOpener>, cids: Vec<String>) -> Self {
        Self { opener, cids, order: Mutex::default() }
    }

    /// Opens an input for the runner, which may have been opened ahead.
    pub(super) async fn open(&self, cid: &str) -> Result<DownloadStream, PortError> {
        let ahead = match self.asked(cid) {
            // A task that was aborted or has panicked has opened nothing.
            Some(opening) => opening.await.unwrap_or(Ok(None))?,
            None => None,
        };
        let stream = match ahead {
            Some(stream) => stream,
            None => self.opener.open(cid, self.opener.slot().await?).await?,
        };
        stream.is_read();
        self.order().small = is_small(&stream);
        Ok(stream)
    }

    /// The runner asks for an input. What was opened ahead of it, if it was; those after it are opened as well, if it seems
    /// to go on like that.
    fn asked(&self, cid: &str) -> Option<Opening> {
        let mut order = self.order();
        let opening = if self.cids.get(order.next).is_some_and(|next| next == cid) {
            order.next += 1;
            order.in_order += 1;
            order.opened.pop_front()
        } else {
            // It goes another way, and has none of those that were opened.
            let place = self.cids.iter().position(|one| one == cid);
            let next = place.map_or(self.cids.len(), |place| place + 1);
            *order = Order { next, in_order: 1, ..Order::default() };
            None
        };
        if order.in_order >= IN_ORDER && order.small {
            let (begun, wanted) = (order.opened.len(), AT_ONCE.saturating_sub(order.opened.len()));
            for cid in self.cids.iter().skip(order.next + begun).take(wanted) {
                // Only while most places are free: the runner's own inputs come first.
                let Some(slot) = self.opener.spare_slot() else { break };
                let (opener, cid) = (self.opener.clone(), cid.clone());
                let opening = async move {
                    let stream = opener.open(&cid, slot).await?;
                    Ok(Some(stream).filter(is_small))
                };
                order.opened.push_back(AbortOnDropHandle::new(tokio::spawn(opening)));
            }
        }
        opening
    }

    fn order(&self) -> std::sync::MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_small(stream: &DownloadStream) -> bool {
    stream.first_part_bytes().is_some_and(|bytes| bytes <= SMALL)
}
