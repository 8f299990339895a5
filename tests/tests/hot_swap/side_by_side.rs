//! Loads go on side by side, and one that has failed is not repeated until something has changed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use posemesh_plugin_host::load::LoaderSettings;
use posemesh_plugin_host::registry::Scan;
use posemesh_tests::by_hand::Parts;

use crate::by_hand::{Folder, live, refusal, scan, view};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runners_that_never_describe_themselves_keep_no_other_one_out() {
    let folder = Folder::new();
    for number in 0..9 {
        let endless = "(func $endless (loop (br 0))) (start $endless)";
        folder.write(&format!("a{number}"), "endless", &Parts { fields: endless, ..Parts::default() });
    }
    folder.put("z", "good", 1);
    let settings = LoaderSettings { describe_time: Duration::from_secs(600), ..LoaderSettings::default() };
    let settings = settings.with_program(posemesh_tests::node_binary());
    let registry = folder.registry_with(settings).await;
    let left = registry.start().await.expect("the folder can be read");
    assert!(live(&registry, "z").is_some(), "{:?}", registry.view());
    let endless: Vec<String> = (0..9).map(|number| format!("a{number}")).collect();
    assert_eq!(left, endless, "they go on");
    // And a newcomer comes in beside them; what is loaded still is not begun anew.
    folder.put("y", "newcomer", 2);
    let number = view(&registry, "a0").loading.expect("it goes on").number;
    let scanning = registry.scan(Scan::Now);
    let live = async {
        while !registry.view().iter().any(|view| view.name == "y" && !view.serves.is_empty()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        scanned = scanning => panic!("nine loads never end: {scanned:?}"),
        () = live => {}
    }
    assert_eq!(view(&registry, "a0").loading.map(|loading| loading.number), Some(number));
    // A better file takes the place of one whose load goes on.
    folder.put("a0", "mended", 3);
    let scanning = registry.scan(Scan::Now);
    let mended = async {
        while !registry.view().iter().any(|view| view.name == "a0" && !view.serves.is_empty()) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        scanned = scanning => panic!("eight loads never end: {scanned:?}"),
        () = mended => {}
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_compiled_is_shown_and_those_that_are_ready_serve_meanwhile() {
    let folder = Folder::new();
    let large = format!("(data \"{}\")", "x".repeat(200_000));
    folder.write("a-large", "large", &Parts { fields: &large, ..Parts::default() });
    folder.put("b-small", "good", 1);
    // A compiler that waits, with what is large, until it is told to go on.
    let (compiler, go) = (folder.path("compiler"), folder.path("go"));
    let (inputs, node) = (folder.path("inputs"), posemesh_tests::node_binary());
    fs::create_dir(&inputs).expect("a folder");
    let script = format!(
        "#!/bin/sh\nPATH=/usr/bin:/bin; in={inputs}/$$; cat > $in\nif [ $(wc -c < $in) -gt 100000 ]; then\n\
         while [ ! -e {go} ]; do sleep 0.05; done; fi\nexec {node} \"$@\" < $in\n",
        inputs = inputs.display(),
        go = go.display(),
        node = node.display()
    );
    fs::write(&compiler, script).expect("written");
    fs::set_permissions(&compiler, fs::Permissions::from_mode(0o755)).expect("executable");
    let mut settings = LoaderSettings::default().with_program(node);
    settings.compiler.program = Some(compiler);
    let registry = folder.registry_with(settings).await;
    assert_eq!(registry.start().await.expect("the folder can be read"), ["a-large"], "it goes on");
    assert!(live(&registry, "b-small").is_some(), "{:?}", registry.view());
    let is_compiled =
        || view(&registry, "a-large").loading.is_some_and(|loading| loading.compiling_ms.is_some());
    while !is_compiled() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(live(&registry, "a-large").is_none());
    fs::write(&go, "").expect("written");
    scan(&registry).await;
    assert!(live(&registry, "a-large").is_some(), "{:?}", registry.view());
    assert!(view(&registry, "a-large").loading.is_none());
}

#[tokio::test]
async fn a_compilation_that_takes_too_long_is_not_repeated_until_something_has_changed() {
    let folder = Folder::new();
    folder.put("slow", "slow", 1);
    let (compiler, count) = (folder.path("compiler"), folder.path("count"));
    let script = format!("#!/bin/sh\necho once >> {}\nexec /bin/sleep 600\n", count.display());
    fs::write(&compiler, script).expect("written");
    fs::set_permissions(&compiler, fs::Permissions::from_mode(0o755)).expect("executable");
    let mut settings = LoaderSettings::default();
    settings.compiler.program = Some(compiler);
    settings.compiler.timeout = Duration::from_secs(2);
    let registry = folder.registry_with(settings).await;
    let compiled = || fs::read_to_string(&count).expect("it was started").lines().count();
    scan(&registry).await;
    assert!(refusal(&registry, "slow").contains("to compile"), "{}", refusal(&registry, "slow"));
    assert_eq!(compiled(), 1);
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(100_000)).await;
    tokio::time::resume();
    registry.scan(Scan::Careful).await.expect("a look");
    assert_eq!(compiled(), 1, "the same file takes as long again");
    folder.policy("slow", "priority = 1\n");
    // Once to see it, once to see that it has come to rest.
    registry.scan(Scan::Careful).await.expect("a look");
    registry.scan(Scan::Careful).await.expect("a look");
    assert_eq!(compiled(), 2, "something has changed");
}
