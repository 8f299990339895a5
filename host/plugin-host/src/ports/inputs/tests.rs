//! Ports with limits and a scope, over ports that would give anything.

#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicU64, Ordering};

use posemesh_runner_api::ports::{ArtifactSpec, ArtifactWriter, OutputPort, PortErrorKind};
use posemesh_runner_api::replace::Replaceable;
use posemesh_runner_api::task::Task;
use uuid::Uuid;

use super::*;
use crate::manifest::limits::Limits;
use crate::ports::outputs::GuardedOutputs;

const A: &str = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa";
const B: &str = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb";

/// A server that has whatever is asked for: parts of ten bytes each, three of them, all with the id B.
#[derive(Default)]
struct Anything(AtomicU64);

struct Parts(u64);

#[async_trait]
impl InputPort for Anything {
    async fn open(&self, _: &str) -> Result<Box<dyn PartStream>, PortError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(Parts(3)))
    }
}

#[async_trait]
impl PartStream for Parts {
    async fn next_part(&mut self) -> Result<Option<PartInfo>, PortError> {
        let Some(left) = self.0.checked_sub(1) else { return Ok(None) };
        self.0 = left;
        let text = String::new;
        let (data_id, name, data_type, domain_id) = (B.to_owned(), text(), text(), text());
        Ok(Some(PartInfo {
            data_id,
            name,
            data_type,
            size: 10,
            domain_id,
            created_at: None,
            updated_at: None,
        }))
    }

    async fn read(&mut self, max_bytes: usize) -> Result<Bytes, PortError> {
        Ok(Bytes::from(vec![0; max_bytes.min(10)]))
    }
}

fn named() -> Arc<NamedData> {
    let mut task = Task::new(Uuid::nil(), "/cap");
    (task.domain_id, task.inputs_cids) = (Some(Uuid::nil()), vec![A.to_owned()]);
    Arc::new(NamedData::of(&task))
}

fn inputs(scope: DataScope, limits: Limits) -> (Arc<Anything>, GuardedInputs) {
    let server = Arc::new(Anything::default());
    let inputs = GuardedInputs::new(server.clone(), named(), Arc::new(InputBudget::new(&limits)), scope);
    (server, inputs)
}

async fn refusal(inputs: &GuardedInputs, cid: &str) -> PortError {
    inputs.open(cid).await.err().unwrap()
}

#[tokio::test]
async fn what_the_task_does_not_name_is_neither_requested_nor_counted() {
    let (server, inputs) = inputs(DataScope::Task, Limits { input_requests: 3, ..Limits::default() });
    for _ in 0..10 {
        let error = refusal(&inputs, B).await;
        assert_eq!(error.kind, PortErrorKind::Denied);
        assert!(error.text.contains(B) && error.text.contains("inputs = \"domain\""), "{error}");
        assert_eq!(refusal(&inputs, "/domains/x/data").await.kind, PortErrorKind::Denied, "another domain");
        assert_eq!(refusal(&inputs, "no cid").await.kind, PortErrorKind::Invalid);
    }
    assert_eq!(server.0.load(Ordering::Relaxed), 0);
    // A part that it was given may be opened by its own id.
    inputs.open(A).await.unwrap().next_part().await.unwrap();
    inputs.open(B).await.unwrap();
    inputs.open(A).await.unwrap();
    let error = refusal(&inputs, A).await;
    assert_eq!(error.kind, PortErrorKind::Limit);
    assert!(error.text.contains("`input_requests` of 3"), "{error}");
    assert_eq!(server.0.load(Ordering::Relaxed), 3);
}

#[tokio::test]
async fn the_operator_can_open_the_whole_domain() {
    let (_, inputs) = inputs(DataScope::Domain, Limits::default());
    inputs.open(B).await.unwrap();
    inputs.open("whatever the port says to it").await.unwrap();
}

#[tokio::test]
async fn read_and_skipped_bytes_count_over_all_inputs_and_the_refusal_stays() {
    let (_, inputs) = inputs(DataScope::Task, Limits { input_bytes: 25, ..Limits::default() });
    let mut first = inputs.open(A).await.unwrap();
    first.next_part().await.unwrap();
    assert_eq!(first.read(4).await.unwrap().len(), 4);
    // Six are skipped: ten are used.
    first.next_part().await.unwrap();
    let mut second = inputs.open(A).await.unwrap();
    second.next_part().await.unwrap();
    second.read(10).await.unwrap();
    second.next_part().await.unwrap();
    let error = second.read(10).await.unwrap_err();
    assert!(error.kind == PortErrorKind::Limit && error.text.contains("`input_bytes` of 25"), "{error}");
    assert!(second.next_part().await.is_err() && second.read(1).await.is_err());
    assert!(first.read(1).await.is_err(), "one budget for all");
}

/// A server whose inputs are here whole, ten bytes each; it notes what may be fetched ahead.
#[derive(Default)]
struct Ahead(std::sync::Mutex<Vec<(u64, u64)>>);

struct Whole;

#[async_trait]
impl InputPort for Ahead {
    async fn open(&self, _: &str) -> Result<Box<dyn PartStream>, PortError> {
        Ok(Box::new(Whole))
    }

    fn within(&self, inputs: u64, bytes: u64) {
        self.0.lock().unwrap().push((inputs, bytes));
    }
}

#[async_trait]
impl PartStream for Whole {
    async fn next_part(&mut self) -> Result<Option<PartInfo>, PortError> {
        Parts(1).next_part().await
    }

    async fn read(&mut self, max_bytes: usize) -> Result<Bytes, PortError> {
        Parts(1).read(max_bytes).await
    }

    fn whole(&mut self, most: u64) -> Option<(PartInfo, Bytes)> {
        let part = futures_util::FutureExt::now_or_never(self.next_part())?.ok()??;
        (most >= 10).then(|| (part, Bytes::from_static(b"0123456789")))
    }
}

#[tokio::test]
async fn an_input_that_comes_whole_counts_as_one_that_is_read_and_what_is_left_bounds_what_is_fetched_ahead()
{
    let limits = Limits { input_requests: 9, input_bytes: 25, ..Limits::default() };
    let (server, named) = (Arc::new(Ahead::default()), named());
    let budget = Arc::new(InputBudget::new(&limits));
    let inputs = GuardedInputs::new(server.clone(), named.clone(), budget, DataScope::Task);
    for _ in 0..2 {
        let (part, bytes) = inputs.open(A).await.unwrap().whole(u64::MAX).unwrap();
        assert_eq!((part.data_id.as_str(), bytes.len()), (B, 10));
    }
    assert!(named.has(B), "it was given");
    let mut third = inputs.open(A).await.unwrap();
    assert!(third.whole(u64::MAX).is_none(), "five bytes are left");
    third.next_part().await.unwrap();
    let error = third.read(10).await.unwrap_err();
    assert!(error.text.contains("`input_bytes` of 25"), "{error}");
    assert_eq!(*server.0.lock().unwrap(), [(8, 25), (7, 15), (6, 5)]);
}

/// A store that finds data B under every name.
struct Store;

#[async_trait]
impl OutputPort for Store {
    async fn create(&self, _: ArtifactSpec) -> Result<Box<dyn ArtifactWriter>, PortError> {
        Err(PortError::other("unrestricted"))
    }

    async fn create_within(
        &self,
        _: ArtifactSpec,
        may: Replaceable,
    ) -> Result<Box<dyn ArtifactWriter>, PortError> {
        Err(PortError::other(format!("A {}, B {}", may.allows(A), may.allows(B))))
    }

    fn finished(&self) -> Vec<posemesh_runner_api::ports::Artifact> {
        Vec::new()
    }
}

#[tokio::test]
async fn only_what_the_task_names_is_replaced_by_id_or_by_name() {
    let create = async |scope, existing_id: Option<&str>| {
        let spec = ArtifactSpec { existing_id: existing_id.map(str::to_owned), ..ArtifactSpec::default() };
        GuardedOutputs::new(Arc::new(Store), named(), scope).create(spec).await.err().unwrap()
    };
    assert_eq!(create(DataScope::Task, Some(A)).await.text, "A true, B false");
    assert_eq!(create(DataScope::Task, None).await.text, "A true, B false", "for the name");
    for other in [B, "", "x"] {
        let error = create(DataScope::Task, Some(other)).await;
        assert_eq!(error.kind, PortErrorKind::Denied);
        assert!(error.text.contains("replace = \"domain\""), "{error}");
    }
    assert_eq!(create(DataScope::Domain, Some(B)).await.text, "A true, B true");
}

#[tokio::test]
async fn what_only_the_scope_opens_is_not_replaced() {
    let (stepwise, ahead) = (Arc::new(Anything::default()), Arc::new(Ahead::default()));
    for server in [stepwise as Arc<dyn InputPort>, ahead] {
        for (cid, is_met) in [(B, false), ("https://server.invalid/x?name=hall", false), (A, true)] {
            let named = named();
            let budget = Arc::new(InputBudget::new(&Limits::default()));
            let inputs = GuardedInputs::new(server.clone(), named.clone(), budget, DataScope::Domain);
            let mut parts = inputs.open(cid).await.unwrap();
            if parts.whole(u64::MAX).is_none() {
                parts.next_part().await.unwrap().unwrap();
            }
            assert_eq!(named.has(B), is_met, "{cid}");
            let spec = ArtifactSpec { existing_id: Some(B.to_owned()), ..ArtifactSpec::default() };
            let outputs = GuardedOutputs::new(Arc::new(Store), named, DataScope::Task);
            let error = outputs.create(spec).await.err().unwrap();
            assert_eq!(error.kind == PortErrorKind::Denied, !is_met, "{cid}: {error}");
        }
    }
}
