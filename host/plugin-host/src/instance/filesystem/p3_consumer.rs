//! What takes a stream of WASI 0.3 into a file.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use wasmtime::StoreContextMut;
use wasmtime::component::{Source, StreamConsumer, StreamResult};
use wasmtime_wasi::filesystem::File;
use wasmtime_wasi::p3::bindings::filesystem::types::ErrorCode;

use crate::instance::filesystem::meter::{self, Refusal};
use crate::instance::scratch::Scratch;
use crate::instance::state::RunState;

/// Writes what comes before it asks for more; the end of the stream, or its first error, goes to the guest.
pub(super) struct FileConsumer {
    file: Arc<std::fs::File>,
    /// Where the next bytes go; none: to the end.
    at: Option<u64>,
    scratch: Arc<Scratch>,
    result: Option<oneshot::Sender<Result<(), ErrorCode>>>,
}

impl FileConsumer {
    pub(super) fn new(
        file: &File,
        at: Option<u64>,
        scratch: Arc<Scratch>,
        result: oneshot::Sender<Result<(), ErrorCode>>,
    ) -> Self {
        Self { file: file.file.clone(), at, scratch, result: Some(result) }
    }

    fn close(&mut self, result: Result<(), ErrorCode>) {
        if let Some(sender) = self.result.take() {
            // The guest may not care how its stream ended.
            let _ = sender.send(result);
        }
    }
}

impl StreamConsumer<RunState> for FileConsumer {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<'_, RunState>,
        source: Source<'_, u8>,
        _: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let mut source = source.as_direct(store);
        let written = meter::write(&self.scratch, &self.file, self.at, source.remaining());
        Poll::Ready(match written {
            Ok(written) => {
                self.at = self.at.map(|at| at.saturating_add(written));
                source.mark_read(usize::try_from(written).unwrap_or(usize::MAX));
                Ok(StreamResult::Completed)
            }
            // The end of the guest.
            Err(Refusal::Limit(limit)) => Err(limit.into()),
            Err(Refusal::TooDeep) => {
                self.close(Err(ErrorCode::NameTooLong));
                Ok(StreamResult::Dropped)
            }
            Err(Refusal::System(error)) => {
                self.close(Err(error.into()));
                Ok(StreamResult::Dropped)
            }
        })
    }
}

impl Drop for FileConsumer {
    fn drop(&mut self) {
        self.close(Ok(()));
    }
}
