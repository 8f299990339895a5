#![allow(clippy::panic, clippy::unwrap_used)]

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::Duration;

use super::folder::files;
use super::*;

async fn open(dir: PathBuf, engine: &Engine) -> Cache {
    match Cache::open(dir, engine).await.unwrap() {
        OpenedCache::Open(cache) => cache,
        OpenedCache::Distrusted(why) => panic!("{why}"),
    }
}

async fn distrusted(dir: PathBuf, engine: &Engine) -> String {
    match Cache::open(dir.clone(), engine).await.unwrap() {
        OpenedCache::Open(_) => panic!("{} is not to be trusted", dir.display()),
        OpenedCache::Distrusted(why) => why,
    }
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

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
    let cache = open(dir.clone(), &engine).await;
    assert!(cache.get("d1").await.is_none());
    cache.put("d1", &compiled).await.unwrap();
    assert!(cache.get("d1").await.is_some());
    assert!(cache.get("d2").await.is_none(), "another digest is another component");
    assert_eq!((mode(&dir), mode(&cache.path("d1")) & 0o077), (0o700, 0));
}

#[tokio::test]
async fn a_directory_that_others_could_write_to_is_closed_and_what_is_in_it_forgotten() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("open");
    let (engine, compiled) = component();
    let cache = open(dir.clone(), &engine).await;
    cache.put("d", &compiled).await.unwrap();
    let key = fs::read(dir.join(key::FILE)).unwrap();
    for (path, file) in files(&dir) {
        assert_eq!(file.permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
    // Read only: nobody else can have changed anything.
    chmod(&dir, 0o755);
    assert!(open(dir.clone(), &engine).await.get("d").await.is_some());
    assert_eq!(mode(&dir), 0o700);
    fs::write(dir.join("note"), "an operator's").unwrap();
    for open_mode in [0o777, 0o770, 0o702] {
        cache.put("d", &compiled).await.unwrap();
        chmod(&dir, open_mode);
        let again = open(dir.clone(), &engine).await;
        assert_eq!(mode(&dir), 0o700);
        assert!(again.get("d").await.is_none(), "{open_mode:o}: somebody may have put it there");
        assert_ne!(
            fs::read(dir.join(key::FILE)).unwrap(),
            key,
            "{open_mode:o}: somebody may have put it there"
        );
    }
    assert!(dir.join("note").exists(), "only what a cache believes is removed");
}

#[tokio::test]
async fn a_directory_on_a_way_that_others_can_turn_is_not_used() {
    let root = tempfile::tempdir().unwrap();
    let (engine, _) = component();
    let open_parent = root.path().join("open");
    fs::create_dir(&open_parent).unwrap();
    chmod(&open_parent, 0o777);
    let why = distrusted(open_parent.join("cache"), &engine).await;
    assert!(why.contains("CACHE_DIR") && why.contains("mode 0777") && why.contains("chmod go-w"), "{why}");
    let link = root.path().join("link");
    symlink(open_parent.join("cache"), &link).unwrap();
    assert!(distrusted(link, &engine).await.contains("mode 0777"), "the way of a link counts");
    chmod(&open_parent, 0o755);
    symlink(open_parent.join("cache"), root.path().join("good-link")).unwrap();
    open(root.path().join("good-link"), &engine).await;
    // Everybody's, like /tmp: closing it would take it from others.
    chmod(&open_parent, 0o1777);
    distrusted(open_parent.clone(), &engine).await;
    assert_eq!(
        fs::metadata(&open_parent).unwrap().permissions().mode() & 0o7777,
        0o1777,
        "it stays as it is"
    );
    if std::os::unix::fs::chown(&open_parent, Some(12_345), None).is_ok() {
        chmod(&open_parent, 0o700);
        let why = distrusted(open_parent, &engine).await;
        assert!(why.contains("belongs to user 12345"), "{why}");
    }
    let file = root.path().join("file");
    fs::write(&file, "").unwrap();
    Cache::open(file, &engine).await.unwrap_err();
}

#[tokio::test]
async fn code_is_bound_to_its_component_its_engine_and_its_cache() {
    let root = tempfile::tempdir().unwrap();
    let (engine, compiled) = component();
    let cache = open(root.path().join("cache"), &engine).await;
    let put = async || cache.put("victim", &compiled).await.unwrap();
    let refused = async |what: &str| {
        assert!(cache.get("victim").await.is_none(), "{what}");
        assert!(cache.path("victim").symlink_metadata().is_err(), "{what}: what can't be used is removed");
    };
    // Somebody swaps the files' names.
    cache.put("attacker", &compiled).await.unwrap();
    fs::rename(cache.path("attacker"), cache.path("victim")).unwrap();
    refused("the code of another component").await;
    // A file of another cache, made by the same node for the same component.
    let other = open(root.path().join("other"), &engine).await;
    other.put("victim", &compiled).await.unwrap();
    fs::copy(other.path("victim"), cache.path("victim")).unwrap();
    chmod(&cache.path("victim"), 0o600);
    refused("made with another key").await;
    put().await;
    chmod(&cache.path("victim"), 0o620);
    refused("open to others").await;
    put().await;
    if std::os::unix::fs::chown(cache.path("victim"), Some(12_345), None).is_ok() {
        refused("of another user").await;
    }
    put().await;
    fs::rename(cache.path("victim"), root.path().join("elsewhere")).unwrap();
    symlink(root.path().join("elsewhere"), cache.path("victim")).unwrap();
    refused("a link").await;
    fs::create_dir_all(cache.path("victim").join("deep")).unwrap();
    refused("a folder").await;
    rustix::fs::mknodat(
        rustix::fs::CWD,
        cache.path("victim"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    refused("a FIFO").await;
    put().await;
    assert!(cache.get("victim").await.is_some(), "and its own is found");
}

#[tokio::test]
async fn a_key_that_somebody_else_could_know_is_made_anew() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("cache");
    let (engine, compiled) = component();
    let planted: [fn(&Path); 5] = [
        |key| fs::write(key, [7; 32]).unwrap(),
        |key| symlink("/dev/zero", key).unwrap(),
        |key| write_private(key, &[7; 31]).unwrap(),
        |key| {
            write_private(key, &[7; 32]).unwrap();
            fs::hard_link(key, key.with_file_name("second")).unwrap();
        },
        |key| fs::create_dir(key).unwrap(),
    ];
    for plant in planted {
        let cache = open(dir.clone(), &engine).await;
        cache.put("d", &compiled).await.unwrap();
        let key = dir.join(key::FILE);
        fs::remove_file(&key).unwrap();
        plant(&key);
        let cache = open(dir.clone(), &engine).await;
        assert!(cache.get("d").await.is_none(), "made with a key that is gone");
        let new = fs::read(&key).unwrap();
        assert!(new.len() == 32 && new != [7; 32], "{new:?}");
        assert_eq!(mode(&key), 0o600);
    }
}

#[tokio::test]
async fn changed_and_cut_files_are_never_loaded_and_are_removed() {
    let root = tempfile::tempdir().unwrap();
    let (engine, compiled) = component();
    let cache = open(root.path().join("cache"), &engine).await;
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
    let cache = open(root.path().join("cache"), &engine).await;
    cache.put("d", &compiled).await.unwrap();
    let other = Engine::new(wasmtime::Config::new().epoch_interruption(true)).unwrap();
    let cache = open(root.path().join("cache"), &other).await;
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
