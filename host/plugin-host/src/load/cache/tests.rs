#![allow(clippy::unwrap_used)]

use super::*;

/// The smallest component there is, and an engine for it.
fn component() -> (Engine, CompiledComponent) {
    let engine = Engine::default();
    let compiled = engine.precompile_component(b"\0asm\x0d\0\x01\0").unwrap();
    (engine, CompiledComponent::from_our_compiler(compiled))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn what_was_kept_is_found_in_a_private_directory() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("made/for/us");
    let (engine, compiled) = component();
    let cache = Cache::open(dir.clone(), &engine).await.unwrap();
    assert!(cache.get("d1").await.is_none());
    cache.put("d1", &compiled).await.unwrap();
    assert!(cache.get("d1").await.is_some());
    assert!(cache.get("d2").await.is_none(), "another digest is another component");
    assert_eq!((mode(&dir), mode(&cache.path("d1")) & 0o077), (0o700, 0));
}

#[tokio::test]
async fn a_directory_that_others_can_read_is_closed_and_a_link_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("open");
    fs::create_dir(&dir).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o777)).unwrap();
    let (engine, _) = component();
    Cache::open(dir.clone(), &engine).await.unwrap();
    assert_eq!(mode(&dir), 0o700);

    let link = root.path().join("link");
    std::os::unix::fs::symlink(&dir, &link).unwrap();
    let error = Cache::open(link, &engine).await.unwrap_err().to_string();
    assert!(error.contains("CACHE_DIR") && error.contains("link"), "{error}");
}

#[tokio::test]
async fn changed_and_cut_files_are_never_loaded_and_are_removed() {
    let root = tempfile::tempdir().unwrap();
    let (engine, compiled) = component();
    let cache = Cache::open(root.path().join("cache"), &engine).await.unwrap();
    type Damage = fn(&mut Vec<u8>);
    let flip: Damage = |bytes| *bytes.last_mut().unwrap() ^= 1;
    let cut: Damage = |bytes| bytes.truncate(bytes.len() / 2);
    let head: Damage = |bytes| bytes.truncate(20);
    let foreign: Damage = |bytes| bytes.splice(..8, *b"whatever").for_each(drop);
    for damage in [flip, cut, head, foreign] {
        cache.put("d", &compiled).await.unwrap();
        let mut bytes = fs::read(cache.path("d")).unwrap();
        damage(&mut bytes);
        fs::write(cache.path("d"), bytes).unwrap();
        assert!(cache.get("d").await.is_none());
        assert!(!cache.path("d").exists(), "what can't be used is removed");
    }
}

#[tokio::test]
async fn code_for_other_settings_is_not_found() {
    let root = tempfile::tempdir().unwrap();
    let (engine, compiled) = component();
    let cache = Cache::open(root.path().join("cache"), &engine).await.unwrap();
    cache.put("d", &compiled).await.unwrap();
    let other = Engine::new(wasmtime::Config::new().epoch_interruption(true)).unwrap();
    let cache = Cache::open(root.path().join("cache"), &other).await.unwrap();
    assert!(cache.get("d").await.is_none());
}

#[test]
fn the_least_used_files_go_first() {
    let root = tempfile::tempdir().unwrap();
    for (age, name) in [(30, "old.cwasm"), (20, "newer.cwasm"), (10, "newest.cwasm")] {
        let path = root.path().join(name);
        fs::write(&path, [0; 100]).unwrap();
        let file = fs::File::options().append(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
    }
    fs::write(root.path().join("someone-elses"), [0; 1000]).unwrap();
    prune(root.path(), 250);
    assert!(!root.path().join("old.cwasm").exists() && root.path().join("newer.cwasm").exists());
    assert!(root.path().join("newest.cwasm").exists() && root.path().join("someone-elses").exists());
}
