//! Inputs that are fetched before the runner asks for them. A task may have thousands of small ones: a runner that reads them
//! in their order need not wait for each request, and one request brings many.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use posemesh_runner_api::ports::{PartStream, PortError};
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::download::batch::{BATCH_BYTES, BatchEnd, BatchParts, SMALL};
use crate::inputs::batches::BatchSizes;
use crate::inputs::opener::InputOpener;
use crate::inputs::stream::DownloadStream;

/// How many are opened ahead by requests of their own.
const AT_ONCE: usize = 8;
/// How many the runner has opened in their order before any is.
const IN_ORDER: usize = 2;
/// How many in a row it may open aside before its order is forgotten: one that it reads again and again, or looks up.
const ASIDE: usize = 8;

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

/// What the runner opens.
enum Step {
    /// The next in its order, and what was asked for ahead of it, if it was.
    InOrder(Option<Ahead>),
    /// Another one, after which it may well go on in its order.
    Aside,
}

#[derive(Default)]
struct Order {
    /// The place of the input that comes next if the runner goes on in order.
    next: usize,
    /// How many it has opened in order.
    in_order: usize,
    /// Whether the last one was small.
    small: bool,
    /// How many it has opened aside since, and the place that follows the last of them.
    aside: (usize, Option<usize>),
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
        let step = self.step(cid);
        let in_order = matches!(step, Step::InOrder(_));
        let opened = match step {
            // A task that was aborted or has panicked has opened nothing.
            Step::InOrder(Some(Ahead::Single(opening))) => opening.await.unwrap_or(Ok(None))?,
            Step::InOrder(Some(Ahead::Batch(batch, id))) => match self.opener.take(&batch.parts, id).await? {
                Some(input) => {
                    self.order().small = true;
                    return Ok(Box::new(input));
                }
                None => None,
            },
            Step::InOrder(None) | Step::Aside => None,
        };
        let stream = match opened {
            Some(stream) => stream,
            None => self.opener.open(cid, self.opener.slot().await?).await?,
        };
        stream.is_read();
        if in_order {
            let mut order = self.order();
            order.small = is_small(&stream);
            if order.small {
                order.sizes.saw(stream.first_part_bytes().unwrap_or_default());
            }
        }
        Ok(Box::new(stream))
    }

    /// The runner asks for an input. Those after it are asked for as well, if it seems to go on in its order.
    fn step(&self, cid: &str) -> Step {
        let mut order = self.order();
        order.note_ends();
        let step = order.step(&self.cids, cid);
        if matches!(step, Step::InOrder(_)) && order.in_order >= IN_ORDER && order.small {
            while self.ask_next(&mut order) {}
        }
        step
    }

    /// Asks for the next inputs that were not asked for; false if there is nothing to be asked for now.
    fn ask_next(&self, order: &mut Order) -> bool {
        let begun = order.ahead.len();
        let Some(cids) = self.cids.get(order.next + begun..).filter(|cids| !cids.is_empty()) else {
            return false;
        };
        let (allowed, bytes) = self.allowed(order);
        let wanted = order.sizes.next(order.batches.len()).min(allowed);
        let ids = if wanted > 1 { self.opener.single_ids(cids, wanted) } else { Vec::new() };
        if ids.len() > 1 {
            // Only while most places are free: the runner's own inputs come first.
            let Some(slot) = self.opener.spare_slot() else { return false };
            let (download, parts) = self.opener.batch(ids.clone(), BATCH_BYTES.min(bytes));
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
        if !is_alone || allowed == 0 || order.singles() >= AT_ONCE {
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

    /// How many further inputs may be fetched ahead, and how many bytes of them: no more than the runner may open and read. What
    /// is not known is taken to be as large as the largest so far.
    fn allowed(&self, order: &Order) -> (usize, u64) {
        let (inputs, bytes) = (self.left.0.load(Ordering::Relaxed), self.left.1.load(Ordering::Relaxed));
        let largest = order.sizes.largest().max(1);
        let in_batches: u64 = order.batches.iter().map(|(batch, _)| batch.parts.bytes()).sum();
        let bytes = bytes.saturating_sub(in_batches).saturating_sub(order.singles() as u64 * largest);
        let inputs = inputs.saturating_sub(order.ahead.len() as u64).min(bytes / largest);
        (usize::try_from(inputs).unwrap_or(usize::MAX), bytes)
    }

    fn order(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Order {
    /// The runner opens one of its task's inputs, or another one.
    fn step(&mut self, cids: &[String], cid: &str) -> Step {
        let passed_over =
            cids.iter().skip(self.next).take(self.ahead.len().max(1)).position(|next| next == cid);
        if let Some(passed_over) = passed_over {
            // Those are not wanted.
            self.ahead.drain(..passed_over);
            self.next += passed_over + 1;
            self.in_order += 1;
            self.aside = (0, None);
            return Step::InOrder(self.ahead.pop_front());
        }
        let place = cids.iter().position(|one| one == cid);
        let after = place.map(|place| place + 1);
        if after == Some(self.next) {
            return Step::Aside;
        }
        let (aside, follows) = self.aside;
        let goes_on_there = place.is_some() && place == follows;
        let loses_nothing = self.ahead.is_empty() && place.is_some_and(|place| place > self.next);
        if goes_on_there || loses_nothing || aside >= ASIDE {
            // It goes another way, and has none of those that were asked for.
            let next = after.unwrap_or(cids.len());
            let in_order = if goes_on_there { IN_ORDER } else { 1 };
            *self = Self { next, in_order, sizes: std::mem::take(&mut self.sizes), ..Self::default() };
            return Step::InOrder(None);
        }
        self.aside = (aside + 1, after);
        Step::Aside
    }

    /// How many are opened ahead by requests of their own.
    fn singles(&self) -> usize {
        self.ahead.iter().filter(|ahead| matches!(ahead, Ahead::Single(_))).count()
    }

    /// Notes how batches have ended, and forgets what those that were given up will not bring.
    fn note_ends(&mut self) {
        for (batch, noted) in &mut self.batches {
            let Some((end, largest)) = batch.parts.end().filter(|_| !*noted) else { continue };
            *noted = true;
            self.sizes.ended(batch.inputs, end, largest);
            let lacks = |ahead: &Ahead| match ahead {
                Ahead::Batch(other, id) => Arc::ptr_eq(other, batch) && !other.parts.has(*id),
                Ahead::Single(_) => false,
            };
            // The first that a whole answer lacks is asked for when the runner wants it: it is not there, most likely.
            let kept = usize::from(matches!(end, BatchEnd::Whole(_)));
            let lacking = self.ahead.iter().enumerate().filter(|(_, ahead)| lacks(ahead)).nth(kept);
            if let Some((place, _)) = lacking {
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
