//! `posemesh-node plugin watch` on a project whose build copies components that are there: what is quick to build, and goes
//! wrong as it is told to.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use posemesh_tests::guests::COPY;
use posemesh_tests::versions::{Does, capability, put, versioned};
use posemesh_tests::{NodeProcess, node_binary};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

/// What the project's build does, by the word in its source.
const BUILD: &str = r#"
echo "$$" >> build/began
case "$(cat source)" in
  broken) echo "error: source:1: this is broken" >&2; exit 3 ;;
  hang) trap '' TERM; sleep 100000 & echo "$! $$" > build/hanging; wait; wait ;;
  *) cp "$COMPONENTS/$(cat source).wasm" made.wasm.new && mv made.wasm.new made.wasm ;;
esac
"#;

/// A project, its components, and a folder for what the command keeps.
struct Project {
    dir: TempDir,
}

impl Project {
    fn new() -> Self {
        let project = Self { dir: tempfile::tempdir().expect("a folder") };
        for folder in ["project/build", "components", "into"] {
            fs::create_dir_all(project.at(folder)).expect("a folder");
        }
        fs::write(project.at("project/build.sh"), BUILD).expect("the build");
        for (name, number, does) in
            [("one", 1_000_001, Does::Work), ("two", 1_000_002, Does::Work), ("fails", 1_000_003, Does::Fail)]
        {
            put(&project.at("components"), &format!("{name}.wasm"), &versioned(number, does, 0));
        }
        project.source("one");
        project
    }

    fn at(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// Saves the source as editors do: another file, moved into its place.
    fn source(&self, word: &str) {
        fs::write(self.at("project/.source.new"), word).expect("a file");
        fs::rename(self.at("project/.source.new"), self.at("project/source")).expect("saved");
    }

    /// A case that each version passes but the one that fails.
    fn case(&self) {
        fs::create_dir_all(self.at("project/cases/works/expected")).expect("a folder");
        fs::write(self.at("project/cases/works/task.json"), "{}").expect("a case");
    }

    fn watch(&self, args: &[&str]) -> NodeProcess {
        self.watch_in("project", &[&["--build", "sh build.sh"], args].concat())
    }

    fn watch_in(&self, folder: &str, args: &[&str]) -> NodeProcess {
        self.watch_by(&std::env::var("PATH").expect("a path"), folder, args)
    }

    /// The same with other programs to be found.
    fn watch_by(&self, programs: &str, folder: &str, args: &[&str]) -> NodeProcess {
        let path = |path: &str| self.at(path).display().to_string();
        let variables: BTreeMap<String, String> =
            [("PATH", programs.to_owned()), ("CACHE_DIR", path("cache")), ("COMPONENTS", path("components"))]
                .map(|(name, value)| (name.to_owned(), value))
                .into();
        let project = path(folder);
        let mut all = vec!["plugin", "watch", &project];
        all.extend(args);
        NodeProcess::start(&node_binary(), &all, &variables)
    }

    fn builds(&self) -> usize {
        fs::read_to_string(self.at("project/build/began")).unwrap_or_default().lines().count()
    }

    /// The processes of the build that hangs, once it does.
    async fn hanging(&self, node: &NodeProcess) -> Vec<String> {
        let read = async {
            loop {
                let pids = fs::read_to_string(self.at("project/build/hanging")).unwrap_or_default();
                if pids.ends_with('\n') {
                    return pids.split_whitespace().map(str::to_owned).collect();
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(posemesh_tests::TIMEOUT, read)
            .await
            .unwrap_or_else(|_| panic!("no build hangs:\n{}", node.log()))
    }
}

/// Waits until none of these processes is there any more.
async fn gone(processes: &[String]) {
    let wait = async {
        // One that has ended and that nobody has waited for has no command line any more.
        let is_there =
            |pid: &String| fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|command| !command.is_empty());
        while processes.iter().any(is_there) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(posemesh_tests::TIMEOUT, wait).await.unwrap_or_else(|_| panic!("{processes:?} are still there"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_builds_and_passes_serves_in_a_local_network_and_the_last_good_version_stays() {
    let project = Project::new();
    project.case();
    let mut node = project.watch(&[]);
    node.wait_for_log("live: made 1.0.1000001 #1").await;
    node.wait_for_log("case made/works ... ok").await;
    let mut second = project.watch(&[]);
    assert_eq!(second.wait().await, 1, "{}", second.log());
    second.wait_for_log("is watched already").await;

    project.source("two");
    node.wait_for_log("live: made 1.0.1000002 #2").await;
    let log = node.log();
    assert!(log.contains("source changed") && log.contains("after the change was noticed"), "{log}");

    project.source("broken");
    node.wait_for_log("error: source:1: this is broken").await;
    node.wait_for_log("the build failed (exit status: 3)").await;
    node.wait_for_log("made 1.0.1000002 #2 stays live").await;

    project.source("fails");
    node.wait_for_log("case made/works ... FAILED").await;
    node.wait_for_log("0 passed, 1 failed").await;

    // What serves is the last good one: a job says so.
    let log = node.log();
    let exported = |name: &str| {
        let text = log.split(&format!("{name}=")).nth(1).unwrap_or_else(|| panic!("no {name} in {log}"));
        text.split_whitespace().next().expect("a value").to_owned()
    };
    let mut job = Command::new(node_binary());
    job.args(["job", "submit", "--capability", &capability(0), "--wait"]).current_dir(project.at("into"));
    for name in ["DDS_BASE_URL", "DMS_BASE_URL", "TOKEN", "DOMAIN_ID"] {
        job.env(name, exported(name));
    }
    let ended = timeout(posemesh_tests::TIMEOUT, job.kill_on_drop(true).output()).await.expect("it ends");
    let ended = ended.expect("it starts");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success(), "{said}\n{}", node.log());

    project.source("one");
    node.wait_for_log("live: made 1.0.1000001 #3").await;
    assert_eq!(project.builds(), 5, "what builds write makes no build:\n{}", node.log());
    node.signal("INT").await;
    assert_eq!(node.wait().await, 0, "{}", node.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_that_is_outdated_is_ended_with_all_its_processes() {
    let project = Project::new();
    project.source("hang");
    let into = project.at("into").display().to_string();
    let mut node = project.watch(&["--into", &into]);
    let first = project.hanging(&node).await;
    fs::remove_file(project.at("project/build/hanging")).expect("it is there");
    project.source("one");
    node.wait_for_log("changed meanwhile").await;
    node.wait_for_log("live: ").await;
    gone(&first).await;

    project.source("hang");
    let second = project.hanging(&node).await;
    node.signal("INT").await;
    assert_eq!(node.wait().await, 0, "{}", node.log());
    gone(&second).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn good_versions_go_into_a_folder_whose_policies_are_the_operators() {
    let project = Project::new();
    let into = project.at("into");
    fs::write(into.join("made.toml"), "enabled = true\n").expect("a policy");
    let mut node = project.watch(&["--into", &into.display().to_string()]);
    node.wait_for_log("live: ").await;
    node.wait_for_log("no case is run").await;
    let made = |name: &str| fs::read(project.at(&format!("components/{name}.wasm"))).expect("a component");
    let there = || fs::read(into.join("made.wasm")).expect("it was put there");
    assert!(there() == made("one"), "the bytes that were built");

    project.source("broken");
    node.wait_for_log("stays live").await;
    assert!(there() == made("one"), "a build that fails changes nothing");

    // A component of another kind, which is refused.
    fs::write(project.at("components/no.wasm"), "no component").expect("a file");
    project.source("no");
    node.wait_for_log("does not start with the bytes of WebAssembly").await;
    assert!(there() == made("one"));

    // A change that makes the same component again.
    project.source("one");
    node.wait_for_log("the same component as before").await;
    fs::write(project.at("components/other.wasm"), COPY.bytes()).expect("a component");
    project.source("other");
    let wait = async {
        while there() != COPY.bytes() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(posemesh_tests::TIMEOUT, wait).await.unwrap_or_else(|_| panic!("{}", node.log()));
    assert_eq!(fs::read_to_string(into.join("made.toml")).expect("the policy"), "enabled = true\n");
    let mut names: Vec<_> =
        fs::read_dir(&into).expect("the folder").map(|entry| entry.expect("an entry").file_name()).collect();
    names.sort();
    assert_eq!(names, ["made.toml", "made.wasm"]);
    node.signal("INT").await;
    assert_eq!(node.wait().await, 0, "{}", node.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_its_tools_and_the_folder_may_change_while_it_watches() {
    let project = Project::new();
    // Where no path of PATH can lead.
    let dir = project.at("with:colon");
    let tools = dir.join("node_modules/.bin");
    let tool = |is_there: bool| {
        if !is_there {
            return fs::remove_dir_all(dir.join("node_modules")).expect("it was there");
        }
        fs::create_dir_all(&tools).expect("a folder");
        let copy = "#!/bin/sh\ncp \"$COMPONENTS/$1.wasm\" made.wasm.new && mv made.wasm.new made.wasm\n";
        fs::write(tools.join("tool"), copy).expect("the tool");
        fs::set_permissions(tools.join("tool"), fs::Permissions::from_mode(0o755)).expect("it can be run");
    };
    let package = |word: &str| {
        let text = format!(r#"{{"scripts": {{"build": "tool {word}"}}}}"#);
        fs::write(dir.join(".package.new"), text).expect("a file");
        fs::rename(dir.join(".package.new"), dir.join("package.json")).expect("saved");
    };
    tool(true);
    package("one");
    let mut node = project.watch_in("with:colon", &[]);
    node.wait_for_log("live: made 1.0.1000001 #1").await;
    package("two");
    node.wait_for_log("tool two` from now on").await;
    node.wait_for_log("live: made 1.0.1000002 #2").await;

    tool(false);
    package("one");
    node.wait_for_log("there is no node_modules in").await;
    node.wait_for_log("its tools come with: npm ci").await;
    node.wait_for_log("made 1.0.1000002 #2 stays live").await;

    tool(true);
    fs::rename(&dir, project.at("away")).expect("renamed");
    node.wait_for_log("any more; it is built when it is there again").await;
    fs::rename(project.at("away"), &dir).expect("renamed");
    node.wait_for_log("live: made 1.0.1000001 #3").await;
    node.signal("INT").await;
    assert_eq!(node.wait().await, 0, "{}", node.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_that_is_missing_is_named_with_what_brings_it() {
    let project = Project::new();
    fs::create_dir(project.at("python")).expect("a folder");
    fs::write(project.at("python/app.py"), "").expect("a source");
    // Wherever this machine has one, it is not found.
    let programs = project.at("programs");
    fs::create_dir(&programs).expect("a folder");
    for program in ["sh", "cp"] {
        std::os::unix::fs::symlink(Path::new("/bin").join(program), programs.join(program)).expect("a link");
    }
    let mut node = project.watch_by(&programs.display().to_string(), "python", &[]);
    node.wait_for_log("the build did not start: there is no program componentize-py").await;
    node.wait_for_log("pip install -r requirements.txt").await;
    node.wait_for_log("nothing is live yet").await;

    // It comes, and is found by the next round.
    let tools = project.at("python/.venv/bin");
    fs::create_dir_all(&tools).expect("a folder");
    let tool = tools.join("componentize-py");
    fs::write(&tool, "#!/bin/sh\nfor last; do :; done; cp \"$COMPONENTS/one.wasm\" \"$last\"\n")
        .expect("a tool");
    fs::set_permissions(&tool, fs::Permissions::from_mode(0o755)).expect("it can be run");
    fs::write(project.at("python/app.py"), "# saved").expect("a source");
    node.wait_for_log("live: python 1.0.1000001 #1").await;
    node.signal("INT").await;
    assert_eq!(node.wait().await, 0, "{}", node.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_project_is_refused_with_what_helps() {
    let dir = tempfile::tempdir().expect("a folder");
    let refusal = async |args: &[&str]| {
        let mut watch = Command::new(node_binary());
        watch.args(["plugin", "watch"]).args(args).current_dir(dir.path()).kill_on_drop(true);
        let output =
            timeout(posemesh_tests::TIMEOUT, watch.output()).await.expect("it ends").expect("it starts");
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = refusal(&[]).await;
    assert!(said.contains("--build COMMAND"), "{said}");
    let said = refusal(&["nowhere"]).await;
    assert!(said.contains("the project nowhere"), "{said}");
    let said = refusal(&["--build", "true", "--into", "nowhere"]).await;
    assert!(said.contains("there is no such folder"), "{said}");
    let said = refusal(&["--build", "true", "--ignore", "a{"]).await;
    assert!(said.contains("--ignore"), "{said}");
}
