//! Inputs that are fetched before the runner asks for them. A task may have thousands of small ones: a runner that reads them
//! in their order need not wait for each request, and one request brings many.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use posemesh_runner_api::ports::{PartStream, PortError};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::download::batch::{BatchEnd, BatchParts, SMALL};
use crate::inputs::batches::BatchSizes;
use crate::inputs::opener::InputOpener;
use crate::inputs::stream::DownloadStream;

/// How many are opened ahead by requests of their own.
const AT_ONCE: usize = 8;
/// How many the runner has opened in their order before any is.
const IN_ORDER: usize = 2;

/// An input that is being opened; none if it is too large to be opened ahead.
type Opening = AbortOnDropHandle<Result<Option<DownloadStream>, PortError>>;

/// The inputs of a task that are fetched ahead.
pub(super) struct OpenAhead {
    opener: Arc<InputOpener>,
    /// The task's inputs, in their order.
    cids: Vec<String>,
    /// How many inputs the runner may still open, and how many bytes it may still read.
    left: (AtomicU64, AtomicU64),
    order: Mutex<Order>,
}

/// A request for several inputs.
struct Batch {
    parts: Arc<BatchParts>,
    inputs: usize,
    /// Ends with the last input of it that is wanted.
    _request: AbortOnDropHandle<()>,
}

/// An input that was asked for ahead of the runner.
enum Ahead {
    Single(Opening),
    Batch(Arc<Batch>, Uuid),
}

#[derive(Default)]
struct Order {
    /// The place of the input that comes next if the runner goes on in order.
    next: usize,
    /// How many it has opened in order.
    in_order: usize,
    /// Whether the last one was small.
    small: bool,
    /// Those from `next` on that were asked for ahead.
    ahead: VecDeque<Ahead>,
    /// The batches of `ahead`, in their order, and whether it was noted how each has ended.
    batches: Vec<(Arc<Batch>, bool)>,
    sizes: BatchSizes,
}

impl OpenAhead {
    pub(super) fn new(opener: Arc<InputOpener>, cids: Vec<String>) -> Self {
        let left = (AtomicU64::new(u64::MAX), AtomicU64::new(u64::MAX));
        Self { opener, cids, left, order: Mutex::default() }
    }

    /// Fetches no more ahead than so many inputs of so many bytes.
    pub(super) fn within(&self, inputs: u64, bytes: u64) {
        self.left.0.store(inputs, Ordering::Relaxed);
        self.left.1.store(bytes, Ordering::Relaxed);
    }

    /// Opens an input for the runner, which may have been fetched ahead.
    pub(super) async fn open(&self, cid: &str) -> Result<Box<dyn PartStream>, PortError> {
        let opened = match self.asked(cid) {
            // A task that was aborted or has panicked has opened nothing.
            Some(Ahead::Single(opening)) => opening.await.unwrap_or(Ok(None))?,
            Some(Ahead::Batch(batch, id)) => match self.opener.take(&batch.parts, id).await? {
                Some(input) => {
                    self.order().small = true;
                    return Ok(Box::new(input));
                }
                None => None,
            },
            None => None,
        };
        let stream = match opened {
            Some(stream) => stream,
            None => self.opener.open(cid, self.opener.slot().await?).await?,
        };
        stream.is_read();
        let mut order = self.order();
        order.small = is_small(&stream);
        if order.small {
            order.sizes.saw(stream.first_part_bytes().unwrap_or_default());
        }
        Ok(Box::new(stream))
    }

    /// The runner asks for an input. What was asked for ahead of it, if it was; those after it are asked for as well, if it
    /// seems to go on like that.
    fn asked(&self, cid: &str) -> Option<Ahead> {
        let mut order = self.order();
        let ahead = if self.cids.get(order.next).is_some_and(|next| next == cid) {
            order.next += 1;
            order.in_order += 1;
            order.ahead.pop_front()
        } else {
            // It goes another way, and has none of those that were asked for.
            let place = self.cids.iter().position(|one| one == cid);
            let next = place.map_or(self.cids.len(), |place| place + 1);
            let sizes = std::mem::take(&mut order.sizes);
            *order = Order { next, in_order: 1, sizes, ..Order::default() };
            None
        };
        order.note_ends();
        if order.in_order >= IN_ORDER && order.small {
            while self.ask_next(&mut order) {}
        }
        ahead
    }

    /// Asks for the next inputs that were not asked for; false if there is nothing to be asked for now.
    fn ask_next(&self, order: &mut Order) -> bool {
        let begun = order.ahead.len();
        let Some(cids) = self.cids.get(order.next + begun..).filter(|cids| !cids.is_empty()) else {
            return false;
        };
        let allowed = self.allowed(order);
        let wanted = order.sizes.next(order.batches.len()).min(allowed);
        let ids = if wanted > 1 { self.opener.single_ids(cids, wanted) } else { Vec::new() };
        if ids.len() > 1 {
            // Only while most places are free: the runner's own inputs come first.
            let Some(slot) = self.opener.spare_slot() else { return false };
            let (download, parts) = self.opener.batch(ids.clone());
            let request = AbortOnDropHandle::new(tokio::spawn(async move {
                download.run().await;
                drop(slot);
            }));
            let batch = Arc::new(Batch { parts, inputs: ids.len(), _request: request });
            order.ahead.extend(ids.into_iter().map(|id| Ahead::Batch(Arc::clone(&batch), id)));
            order.batches.push((batch, false));
            return true;
        }
        // What no batch can have, or if there are none: by a request of its own.
        let is_alone = order.sizes.given_up() || wanted > 0;
        let singles = order.ahead.iter().filter(|ahead| matches!(ahead, Ahead::Single(_))).count();
        if !is_alone || allowed == 0 || singles >= AT_ONCE {
            return false;
        }
        let Some((slot, cid)) = self.opener.spare_slot().zip(cids.first().cloned()) else { return false };
        let opener = Arc::clone(&self.opener);
        let opening = async move {
            let stream = opener.open(&cid, slot).await?;
            Ok(Some(stream).filter(is_small))
        };
        order.ahead.push_back(Ahead::Single(AbortOnDropHandle::new(tokio::spawn(opening))));
        true
    }

    /// How many further inputs may be fetched ahead: no more than the runner may open, each as large as the largest so far.
    fn allowed(&self, order: &Order) -> usize {
        let (inputs, bytes) = (self.left.0.load(Ordering::Relaxed), self.left.1.load(Ordering::Relaxed));
        let most = inputs.min(bytes / order.sizes.largest().max(1));
        usize::try_from(most).unwrap_or(usize::MAX).saturating_sub(order.ahead.len())
    }

    fn order(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Order {
    /// Notes how batches have ended, and forgets what those that were given up will not bring.
    fn note_ends(&mut self) {
        for (batch, noted) in &mut self.batches {
            let Some((end, largest)) = batch.parts.end().filter(|_| !*noted) else { continue };
            *noted = true;
            self.sizes.ended(batch.inputs, end, largest);
            // What a whole answer lacks is asked for when the runner wants it: it is not there, most likely.
            let lacks = |ahead: &Ahead| match ahead {
                Ahead::Batch(other, id) => Arc::ptr_eq(other, batch) && !other.parts.has(*id),
                Ahead::Single(_) => false,
            };
            if end != BatchEnd::Whole
                && let Some(place) = self.ahead.iter().position(lacks)
            {
                // With those after it, which are asked for anew, by fewer at a time.
                self.ahead.truncate(place);
                break;
            }
        }
        // Of the others no input is wanted any more.
        self.batches.retain(|(batch, _)| Arc::strong_count(batch) > 1);
    }
}

fn is_small(stream: &DownloadStream) -> bool {
    stream.first_part_bytes().is_some_and(|bytes| bytes <= SMALL)
}
