#![allow(clippy::unwrap_used)]

use async_trait::async_trait;
use posemesh_runner_api::disk::TaskDisk;
use posemesh_runner_api::ports::PortErrorKind;

use super::*;
use crate::instance::runner_log::RunnerLog;
use crate::instance::scratch::folders::TaskFolders;
use crate::instance::trouble::RunTrouble;
use crate::manifest::limits::Limits;

/// A port with the same parts for every CID; counts how often it was opened.
struct Fixed(Vec<(&'static str, &'static [u8])>, std::sync::atomic::AtomicUsize);

struct FixedStream {
    parts: std::vec::IntoIter<(&'static str, &'static [u8])>,
    left: &'static [u8],
}

#[async_trait]
impl InputPort for Fixed {
    async fn open(&self, _: &str) -> Result<Box<dyn PartStream>, PortError> {
        self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(Box::new(FixedStream { parts: self.0.clone().into_iter(), left: b"" }))
    }
}

#[async_trait]
impl PartStream for FixedStream {
    async fn next_part(&mut self) -> Result<Option<PartInfo>, PortError> {
        let Some((name, bytes)) = self.parts.next() else { return Ok(None) };
        self.left = bytes;
        Ok(Some(PartInfo {
            data_id: name.to_owned(),
            name: name.to_owned(),
            data_type: "ply".to_owned(),
            size: bytes.len() as u64,
            domain_id: String::new(),
            created_at: None,
            updated_at: None,
        }))
    }

    async fn read(&mut self, max_bytes: usize) -> Result<Bytes, PortError> {
        let (head, rest) = self.left.split_at(max_bytes.min(self.left.len()));
        self.left = rest;
        Ok(Bytes::from_static(head))
    }
}

struct Bench {
    port: Arc<Fixed>,
    scratch: Arc<Scratch>,
    dir: tempfile::TempDir,
}

fn bench(parts: &[(&'static str, &'static [u8])], scratch: u64) -> Bench {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { scratch_bytes: scratch, ..Limits::default() };
    let log = RunnerLog::new(0, tracing::Span::none());
    let disk = TaskDisk::new(dir.path());
    let folders = TaskFolders::of(disk.clone());
    let scratch = Arc::new(Scratch::new(disk, Some(folders), &limits, RunTrouble::default(), log));
    Bench { port: Arc::new(Fixed(parts.to_vec(), Default::default())), scratch, dir }
}

impl Bench {
    async fn open(&self) -> InputReader {
        InputReader::open(self.port.clone(), "cid".to_owned(), self.scratch.clone()).await.unwrap()
    }
    fn opened(&self) -> usize {
        self.port.1.load(std::sync::atomic::Ordering::Relaxed)
    }
    fn spooled(&self) -> usize {
        std::fs::read_dir(self.dir.path().join("spool")).map_or(0, Iterator::count)
    }
}

#[tokio::test]
async fn streaming_touches_no_disk() {
    let bench = bench(&[("a", b"hello"), ("b", b"world")], 0);
    let mut download = bench.open().await;
    for want in [&b"hello"[..], b"world"] {
        let part = download.next_part().await.unwrap().unwrap();
        assert_eq!(download.read(part, 100).await.unwrap(), want);
        assert!(download.read(part, 100).await.unwrap().is_empty());
    }
    assert_eq!(download.next_part().await.unwrap(), None);
    assert_eq!(bench.spooled(), 0);
}

#[tokio::test]
async fn a_half_read_part_stays_readable_after_the_next_one_was_asked_for() {
    let bench = bench(&[("a", b"hello"), ("b", b"world")], 100);
    let mut download = bench.open().await;
    let a = download.next_part().await.unwrap().unwrap();
    assert_eq!(download.read(a, 2).await.unwrap(), "he");
    let b = download.next_part().await.unwrap().unwrap();
    assert_eq!(download.read(b, 100).await.unwrap(), "world");
    assert_eq!(download.read(a, 100).await.unwrap(), "llo");
    assert_eq!(bench.opened(), 1, "one download");
}

#[tokio::test]
async fn reading_at_an_offset_after_streaming_downloads_a_second_time() {
    let bench = bench(&[("a", b"hello")], 100);
    let mut download = bench.open().await;
    let a = download.next_part().await.unwrap().unwrap();
    download.read(a, 2).await.unwrap();
    assert_eq!(download.read_at(a, 1, 3).await.unwrap(), "ell");
    assert_eq!(download.read_at(a, 5, 3).await.unwrap(), "");
    assert_eq!(download.read(a, 100).await.unwrap(), "llo", "the stream goes on where it was");
    assert_eq!(bench.opened(), 2);
}

#[tokio::test]
async fn parts_of_one_name_are_kept_apart_and_paths_stay_the_same() {
    let bench = bench(&[("2024-01-02_03-04-05/../x", b"1"), ("2024-01-02_03-04-05/../x", b"2")], 100);
    let mut download = bench.open().await;
    let mut paths = Vec::new();
    while let Some(part) = download.next_part().await.unwrap() {
        let path = download.materialise(part).await.unwrap();
        assert_eq!(download.materialise(part).await.unwrap(), path);
        paths.push(path);
    }
    assert_eq!(
        paths,
        [
            "/work/inputs/2024-01-02_03-04-05/2024-01-02_03-04-05____x.ply",
            "/work/inputs/2024-01-02_03-04-05/2024-01-02_03-04-05____x-2.ply"
        ]
    );
}

#[tokio::test]
async fn keeping_more_than_the_scratch_budget_is_a_limit() {
    let bench = bench(&[("a", b"hello")], 4);
    let mut download = bench.open().await;
    let a = download.next_part().await.unwrap().unwrap();
    let error = download.read_at(a, 0, 5).await.unwrap_err();
    assert!(
        matches!(&error, PortError { kind: PortErrorKind::Limit, text, .. } if text.contains("scratch_bytes")),
        "{error:?}"
    );
}

#[tokio::test]
async fn what_is_kept_counts_as_long_as_it_is_there() {
    let bench = bench(&[("a", b"12345"), ("b", b"12345")], 12);
    for _ in 0..3 {
        // Two parts at a time fit; each goes with its handle, unless the runner has it as a file.
        let mut download = bench.open().await;
        for _ in 0..2 {
            let part = download.next_part().await.unwrap().unwrap();
            assert_eq!(download.read_at(part, 1, 2).await.unwrap(), "23");
        }
        assert_eq!(bench.spooled(), 2);
        download.drop_part(0);
        assert_eq!(bench.spooled(), 1);
    }
    assert_eq!(bench.spooled(), 0);
    let mut download = bench.open().await;
    let part = download.next_part().await.unwrap().unwrap();
    download.materialise(part).await.unwrap();
    drop(download);
    assert_eq!(bench.scratch.used(), 5, "a file that the runner has goes on counting");
}
