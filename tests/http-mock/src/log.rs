//! What a server was asked, and which requests overlapped.

use std::sync::{Arc, Mutex, MutexGuard};

use crate::request::RecordedRequest;

/// The log of one server. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct RequestLog(Arc<Mutex<LogEntries>>);

#[derive(Debug, Default)]
struct LogEntries {
    requests: Vec<LoggedRequest>,
    /// Counts arrivals and answers, so that both have an order.
    clock: usize,
}

#[derive(Debug)]
struct LoggedRequest {
    request: RecordedRequest,
    arrived: usize,
    /// None while it is not answered.
    answered: Option<usize>,
}

impl RequestLog {
    /// The moment at which a request arrives.
    pub(crate) fn now(&self) -> usize {
        self.entries().tick()
    }

    /// Records a request that arrived at that moment, and returns how many were recorded before.
    pub(crate) fn record(&self, request: RecordedRequest, arrived: usize) -> usize {
        let mut entries = self.entries();
        entries.requests.push(LoggedRequest { request, arrived, answered: None });
        entries.requests.len() - 1
    }

    pub(crate) fn answered(&self, number: usize) {
        let mut entries = self.entries();
        let now = entries.tick();
        entries.requests[number].answered = Some(now);
    }

    pub(crate) fn requests(&self) -> Vec<RecordedRequest> {
        self.entries().requests.iter().map(|entry| entry.request.clone()).collect()
    }

    /// The most of the chosen requests that were there at the same time.
    pub(crate) fn most_at_once(&self, choose: impl Fn(&RecordedRequest) -> bool) -> usize {
        let entries = self.entries();
        let chosen: Vec<_> = entries.requests.iter().filter(|entry| choose(&entry.request)).collect();
        let is_there = |entry: &LoggedRequest, moment: usize| {
            entry.arrived <= moment && entry.answered.is_none_or(|answered| answered > moment)
        };
        let at_arrival = |arrived: usize| chosen.iter().filter(|entry| is_there(entry, arrived)).count();
        chosen.iter().map(|entry| at_arrival(entry.arrived)).max().unwrap_or(0)
    }

    fn entries(&self) -> MutexGuard<'_, LogEntries> {
        self.0.lock().expect("no script panics while the log is locked")
    }
}

impl LogEntries {
    fn tick(&mut self) -> usize {
        self.clock += 1;
        self.clock
    }
}
