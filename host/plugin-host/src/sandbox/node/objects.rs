//! What a call has open at the node: inputs, artifacts, requests. Each is served by a task of its own, in the order of
//! its asks, so that none waits for another.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use posemesh_runner_api::gathered::Gathered;
use posemesh_runner_api::ports::{
    ArtifactSpec, ArtifactWriter, InputPort, OutputPort, PartStream, PortError,
};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};

use crate::instance::trouble::RunTrouble;
use crate::sandbox::arena::{Arena, SLOT, SLOTS};
use crate::sandbox::node::budget::CallBudget;
use crate::sandbox::node::copies::Copies;
use crate::sandbox::node::requests::Requests;
use crate::sandbox::node::steps::{Answers, Asked, Served, Step, refuse};
use crate::sandbox::wire::{Answer, Ask, AskId, Refusal};

/// Asks of one object that may wait: for no more are there slots.
const WAITING_ASKS: usize = SLOTS as usize;
/// Bytes that are gathered of an input before they are handed over, at first: pieces come from the network as small as 16 KiB,
/// and a frame costs the same whatever it stands for. It doubles from read to read, up to half a slot.
const FIRST_FILL: usize = 128 << 10;
/// How long they are gathered, from the first of them on, but for the piece that is waited for then.
const GATHERED_FOR: Duration = Duration::from_millis(20);
/// Inputs from which on those that were handed over whole are looked for.
const FORGET_FROM: usize = 32;
/// Objects that may be open: the node's ports have bounds of their own, and requests are eight at a time.
const MAX_OBJECTS: usize = 256;

/// Everything that a call has open.
pub(super) struct Objects {
    pub(super) inputs: Arc<dyn InputPort>,
    pub(super) outputs: Arc<dyn OutputPort>,
    pub(super) requests: Option<Requests>,
    pub(super) arena: Arena,
    copies: Copies,
    pub(super) answers: Answers,
    pub(super) budget: CallBudget,
    pub(super) trouble: RunTrouble,
    open: HashMap<AskId, (mpsc::Sender<Asked>, AbortHandle)>,
    /// The highest ask that has opened something.
    last_opened: AskId,
    /// The inputs of `open`, and whether each was handed over whole.
    inputs_open: HashMap<AskId, Arc<AtomicBool>>,
    tasks: JoinSet<()>,
    /// Where asks go whose object has ended; None before there was an object.
    forsaken: Option<mpsc::UnboundedSender<AskId>>,
}

impl Objects {
    pub(super) fn new(
        inputs: Arc<dyn InputPort>,
        outputs: Arc<dyn OutputPort>,
        requests: Option<Requests>,
        arena: Arena,
        answers: Answers,
        budget: CallBudget,
        trouble: RunTrouble,
    ) -> Self {
        let (open, tasks) = (HashMap::new(), JoinSet::new());
        let copies = Copies::new(arena.clone());
        Self {
            inputs,
            outputs,
            requests,
            arena,
            copies,
            answers,
            budget,
            trouble,
            open,
            last_opened: 0,
            inputs_open: HashMap::new(),
            tasks,
            forsaken: None,
        }
    }

    /// Takes an ask.
    ///
    /// # Errors
    /// When an honest process would not ask for that, in words.
    pub(super) fn take(&mut self, ask: AskId, what: Ask) -> Result<(), String> {
        what.check()?;
        let (object, slot) = (what.of().unwrap_or(ask), what.slot());
        if let Some(slot) = slot.filter(|slot| *slot >= self.arena.slots()) {
            return Err(format!("it names slot {slot} of {}", self.arena.slots()));
        }
        self.answers.owe(ask, object, slot)?;
        let (opened, step) = match what {
            Ask::Open { cid, slot } => {
                self.forget_whole();
                let (asked, steps) = self.opening(ask)?;
                let (port, copies, trouble) =
                    (self.inputs.clone(), self.copies.clone(), self.trouble.clone());
                let whole: Arc<AtomicBool> = Arc::default();
                self.inputs_open.insert(ask, whole.clone());
                let serve = |held| Input { port, copies, trouble, whole, held }.serve(ask, cid, slot, steps);
                return self.opened(ask, asked, serve);
            }
            Ask::Create(spec) => {
                self.budget.start_artifact()?;
                let (asked, steps) = self.opening(ask)?;
                let output = Output {
                    port: self.outputs.clone(),
                    copies: self.copies.clone(),
                    answers: self.answers.clone(),
                    trouble: self.trouble.clone(),
                };
                return self.opened(ask, asked, |_| output.serve(ask, spec, steps));
            }
            Ask::Request(request) => {
                let (asked, steps) = self.opening(ask)?;
                let Some(requests) = self.requests.clone() else {
                    return Err("it sends requests, which it was not granted".to_owned());
                };
                let copies = self.copies.clone();
                return self.opened(ask, asked, |held| requests.serve(ask, request, steps, copies, held));
            }
            Ask::NextPart { opened } => (opened, Step::NextPart),
            Ask::Read { opened, slot, max } => (opened, Step::Read { slot, max }),
            Ask::Write { opened, slot, length } => {
                if !(1..=SLOT).contains(&(length as usize)) {
                    return Err(format!("it writes {length} bytes in a slot of {SLOT}"));
                }
                self.budget.take(u64::from(length))?;
                (opened, Step::Write { slot, length })
            }
            Ask::Finish { opened } => (opened, Step::Finish),
        };
        match self.open.get(&opened) {
            Some((asked, _)) => match asked.try_send((ask, step)) {
                Ok(()) => return Ok(()),
                Err(mpsc::error::TrySendError::Full(_)) => {
                    return Err("it asks without waiting for answers".to_owned());
                }
                // It has ended with an error, of which the guest learns by the answer before.
                Err(mpsc::error::TrySendError::Closed(_)) => {}
            },
            // Closed by another thread of the process than the one that asks.
            None if opened <= self.last_opened => {}
            None => return Err(format!("it asks for something that it has not opened ({opened})")),
        }
        self.forget_ended();
        // Each of these answers is a task until the process takes it.
        if self.tasks.len() > MAX_OBJECTS + WAITING_ASKS {
            return Err("it asks without waiting for answers".to_owned());
        }
        let answers = self.answers.clone();
        let gone = PortError::invalid("this was finished already or has failed");
        self.tasks.spawn(async move { answers.send(ask, Err(Refusal::Port(gone))).await });
        Ok(())
    }

    /// Closes what an ask has opened.
    pub(super) fn close(&mut self, opened: AskId) {
        if let Some((_, task)) = self.open.remove(&opened) {
            // An artifact that is dropped unfinished is aborted by its writer.
            task.abort();
        }
        self.inputs_open.remove(&opened);
        self.forget_ended();
    }

    /// Inputs that were handed over whole are not closed by the process; they must not add up either.
    fn forget_whole(&mut self) {
        if self.inputs_open.len() < FORGET_FROM {
            return;
        }
        let Self { open, inputs_open, .. } = self;
        inputs_open.retain(|input, whole| {
            let is_whole = whole.load(Ordering::Relaxed);
            if is_whole {
                open.remove(input);
            }
            !is_whole
        });
        self.forget_ended();
    }

    /// Those that have ended must not add up.
    fn forget_ended(&mut self) {
        while self.tasks.try_join_next().is_some() {}
    }

    /// Closes everything, and waits until it is closed.
    pub(super) async fn close_all(mut self) {
        self.open.clear();
        self.tasks.shutdown().await;
        // The next call has the same memory.
        self.copies.settle().await;
    }

    fn opening(&self, ask: AskId) -> Result<(mpsc::Sender<Asked>, mpsc::Receiver<Asked>), String> {
        if self.open.len() >= MAX_OBJECTS {
            return Err(format!("it has more than {MAX_OBJECTS} inputs, artifacts and requests open"));
        }
        if self.open.contains_key(&ask) {
            return Err("it numbers two objects alike".to_owned());
        }
        Ok(mpsc::channel(WAITING_ASKS))
    }

    fn opened<S: Future<Output = ()> + Send + 'static>(
        &mut self,
        ask: AskId,
        asked: mpsc::Sender<Asked>,
        serve: impl FnOnce(Arc<Served>) -> S,
    ) -> Result<(), String> {
        let forsaken = self.forsaken.get_or_insert_with(|| {
            let (forsaken, taken) = mpsc::unbounded_channel();
            self.tasks.spawn(refuse(self.answers.clone(), taken));
            forsaken
        });
        let held =
            Arc::new(Served { answers: self.answers.clone(), object: ask, forsaken: forsaken.clone() });
        let served = serve(held.clone());
        let task = self.tasks.spawn(async move {
            // Dropped last, or by the last copy that still writes to a slot.
            let _held = held;
            served.await;
        });
        self.open.insert(ask, (asked, task));
        self.last_opened = self.last_opened.max(ask);
        Ok(())
    }
}

/// One opened CID.
struct Input {
    port: Arc<dyn InputPort>,
    copies: Copies,
    trouble: RunTrouble,
    /// Set when nothing is left to be asked of it.
    whole: Arc<AtomicBool>,
    held: Arc<Served>,
}

impl Input {
    async fn serve(self, ask: AskId, cid: String, slot: Option<u32>, mut steps: mpsc::Receiver<Asked>) {
        let mut stream = match self.port.open(&cid).await {
            Ok(stream) => stream,
            Err(error) => return self.answer(ask, Err(error)).await,
        };
        if let Some(slot) = slot
            && let Some((part, bytes)) = stream.whole(SLOT as u64)
        {
            let length = u32::try_from(bytes.len()).unwrap_or_default();
            let put = self.copies.put(slot, vec![bytes], self.held.clone()).await.map_err(handing_over);
            let is_whole = put.is_ok();
            self.answer(ask, put.map(|()| Answer::Whole { part, length })).await;
            // Only now: a process that takes no answers must not have any number of them under way.
            return self.whole.store(is_whole, Ordering::Relaxed);
        }
        self.answer(ask, Ok(Answer::Done)).await;
        let mut fill = FIRST_FILL;
        while let Some((ask, step)) = steps.recv().await {
            let answer = match step {
                Step::NextPart => stream.next_part().await.map(Answer::Part),
                Step::Read { slot, max } => {
                    let filled = self.read(stream.as_mut(), slot, max as usize, fill).await;
                    fill = (fill * 2).min(SLOT / 2);
                    filled
                }
                Step::Write { .. } | Step::Finish => Err(PortError::invalid("an input is not written")),
            };
            self.answer(ask, answer).await;
        }
    }

    /// Reads at most `max` bytes into a slot, and no more once there are `fill`.
    async fn read(
        &self,
        stream: &mut dyn PartStream,
        slot: u32,
        max: usize,
        fill: usize,
    ) -> Result<Answer, PortError> {
        let max = max.clamp(1, SLOT);
        let (mut gathered, mut latest) = (Gathered::default(), None);
        // Reads on until a frame is worth its cost, but not for long.
        while gathered.size() < fill.min(max) && latest.is_none_or(|latest| Instant::now() < latest) {
            let room = max - gathered.size();
            let mut bytes = match stream.read(room).await {
                Ok(bytes) => bytes,
                // Said by the next read, as it would be then.
                Err(_) if gathered.size() > 0 => break,
                Err(error) => return Err(error),
            };
            bytes.truncate(room);
            if bytes.is_empty() {
                break;
            }
            gathered.push(bytes);
            latest.get_or_insert_with(|| Instant::now() + GATHERED_FOR);
        }
        let filled = gathered.size();
        let put = self.copies.put(slot, gathered.take(), self.held.clone()).await;
        put.map_err(handing_over)?;
        Ok(Answer::Bytes(u32::try_from(filled).unwrap_or_default()))
    }

    async fn answer(&self, ask: AskId, answer: Result<Answer, PortError>) {
        answer_port(&self.held.answers, &self.trouble, ask, answer).await;
    }
}

fn handing_over(error: std::io::Error) -> PortError {
    PortError::host(format!("handing bytes to the sandbox: {error}"))
}

/// One artifact.
struct Output {
    port: Arc<dyn OutputPort>,
    copies: Copies,
    answers: Answers,
    trouble: RunTrouble,
}

impl Output {
    async fn serve(self, ask: AskId, spec: ArtifactSpec, mut steps: mpsc::Receiver<Asked>) {
        let mut writer: Box<dyn ArtifactWriter> = match self.port.create(spec).await {
            Ok(writer) => writer,
            Err(error) => return self.answer(ask, Err(error)).await,
        };
        self.answer(ask, Ok(Answer::Done)).await;
        while let Some((ask, step)) = steps.recv().await {
            match step {
                Step::Write { slot, length } => {
                    let written = match self.copies.get(slot, length as usize).await {
                        Ok(bytes) => writer.write(bytes).await,
                        Err(error) => Err(PortError::host(format!("taking bytes of the sandbox: {error}"))),
                    };
                    let failed = written.is_err();
                    self.answer(ask, written.map(|()| Answer::Done)).await;
                    if failed {
                        // The artifact is aborted; further asks are refused.
                        return;
                    }
                }
                Step::Finish => {
                    return self.answer(ask, writer.finish().await.map(Answer::Stored)).await;
                }
                Step::NextPart | Step::Read { .. } => {
                    self.answer(ask, Err(PortError::invalid("an artifact is not read"))).await;
                }
            }
        }
    }

    async fn answer(&self, ask: AskId, answer: Result<Answer, PortError>) {
        answer_port(&self.answers, &self.trouble, ask, answer).await;
    }
}

async fn answer_port(answers: &Answers, trouble: &RunTrouble, ask: AskId, answer: Result<Answer, PortError>) {
    if let Err(error) = &answer {
        trouble.saw_port(error);
    }
    answers.send(ask, answer.map_err(Refusal::Port)).await;
}

#[cfg(test)]
mod tests;
