#![allow(clippy::unwrap_used)]

use super::*;

fn description() -> Description {
    Description {
        name: "test".to_owned(),
        version: "1.0.0".to_owned(),
        summary: String::new(),
        capabilities: vec!["/test/v1".to_owned()],
        limits: LimitSettings::default(),
        network_hosts: Vec::new(),
        environment: Vec::new(),
        directories: Vec::new(),
        meta_schema: None,
        homepage: None,
        license: None,
    }
}

fn policy(text: &str) -> Result<Policy, PolicyError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("test.toml");
    std::fs::write(&path, text).unwrap();
    Policy::read(&path)
}

#[test]
fn without_a_policy_nothing_is_granted_and_everything_asked_is_reported() {
    let policy = Policy::read(Path::new("/nowhere/test.toml")).unwrap();
    let asked = Description {
        environment: vec!["MODEL".to_owned()],
        network_hosts: vec!["example.com".parse().unwrap()],
        directories: vec!["models".to_owned()],
        limits: LimitSettings { handles: Some(u64::MAX), ..LimitSettings::default() },
        ..description()
    };
    let grant = policy.grant(&asked, &Limits::node_maximum(), &Limits::default());
    assert!(grant.environment.is_empty() && grant.network_hosts.is_empty() && grant.directories.is_empty());
    let reported = grant.not_granted.join("; ");
    for part in ["variable MODEL", "host example.com", "directory models", "handles of", "RUNNER_MAX_HANDLES"]
    {
        assert!(reported.contains(part), "{part} is not in {reported}");
    }
}

#[test]
fn what_is_granted_is_what_was_asked_for_and_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let policy = policy(&format!(
        "environment = [\"MODEL\", \"OTHER\"]\nnetwork_hosts = [\"a.example.com\"]\n\
         private_network_hosts = [\"127.0.0.1:8080\"]\n[directories]\nmodels = {:?}\n[limits]\ndeadline_ms = 5",
        dir.path()
    ))
    .unwrap();
    let asked = Description {
        environment: vec!["MODEL".to_owned()],
        network_hosts: vec!["*.example.com".parse().unwrap(), "127.0.0.1:8080".parse().unwrap()],
        directories: vec!["models".to_owned()],
        ..description()
    };
    let grant = policy.grant(&asked, &Limits::node_maximum(), &Limits::default());
    assert_eq!(grant.environment, ["MODEL"], "what nobody asked for is not given");
    assert_eq!(grant.network_hosts, ["a.example.com".parse().unwrap()]);
    assert_eq!(grant.private_network_hosts, ["127.0.0.1:8080".parse().unwrap()]);
    assert_eq!(grant.directories.get("models").map(PathBuf::as_path), Some(dir.path()));
    assert_eq!(grant.limits.deadline_ms, 5);
    assert_eq!(grant.not_granted, ["network host *.example.com (only a.example.com)"]);
}

#[test]
fn mistakes_are_named() {
    for (text, wanted) in [
        ("enabled = true\nenabld = true", "line 2: unknown field `enabld`, expected"),
        ("enabled = true\n\npriority = \"a\\u001b[2J\"", "line 3: invalid type: string \"a\\"),
        ("capabilities = [\"posemesh/noop/v1\"]", "starts with / and has no spaces"),
        ("[limits]\nmemory = 5", "memory"),
        ("[breaker]\nfailures = 0", "[breaker] failures = 0: it must be from 1"),
        ("[breaker]\nfailurs = 3", "failurs"),
        ("network_hosts = [\"http://x/\"]", "allowed: example.com"),
        ("environment = [\"SECP256K1_PRIVHEX\"]", "a secret of the node"),
        ("[directories]\nmodels = \"relative\"", "absolute path"),
        ("[directories]\nmodels = \"/nowhere/at/all\"", "a folder that is there"),
    ] {
        let error = policy(text).unwrap_err().to_string();
        assert!(error.contains("test.toml") && error.contains(wanted), "{text}: {error}");
        assert!(posemesh_text::is_plain(&error), "{text}: {error}");
    }
}

#[test]
fn a_policy_says_which_of_its_claims_a_runner_may_serve() {
    let asked = Description { capabilities: vec!["/a/v1".to_owned(), "/b/v1".to_owned()], ..description() };
    let grant = |text: &str| policy(text).unwrap().grant(&asked, &Limits::node_maximum(), &Limits::default());
    assert_eq!(grant("").capabilities, asked.capabilities, "all of them, unless something is said");
    let some = grant("capabilities = [\"/b/v1\", \"/c/v1\"]");
    assert_eq!(some.capabilities, ["/b/v1"], "not what it does not claim");
    assert_eq!(some.not_granted, ["capability /a/v1 (not in `capabilities` of NAME.toml)"]);
    assert_eq!(grant("capabilities = []").capabilities, [""; 0]);
}

#[test]
fn a_file_that_is_no_text_or_has_no_end_is_a_mistake() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("test.toml");
    std::fs::write(&path, b"\xff\xfe").unwrap();
    let error = Policy::read(&path).unwrap_err();
    assert!(matches!(error, PolicyError::Invalid { .. }) && error.to_string().contains("UTF-8"), "{error}");
    std::fs::remove_file(&path).unwrap();
    // A regular file of 0 bytes that never ends, as far as its reader can tell.
    std::os::unix::fs::symlink("/proc/self/pagemap", &path).unwrap();
    Policy::read(&path).unwrap_err();
}

#[test]
fn sizes_and_times_may_have_units() {
    let policy = policy(
        "[limits]\nmemory_bytes = \"64MiB\"\nscratch_bytes = 1000\ndeadline_ms = \"1.5 h\"\ncpu_time_ms = 250\n\
         artifacts = 3\n[breaker]\nopen_secs = \"2min\"\nmax_open_secs = 500\n",
    )
    .unwrap();
    let LimitSettings { memory_bytes, scratch_bytes, deadline_ms, cpu_time_ms, artifacts, .. } =
        policy.limits;
    assert_eq!([memory_bytes, scratch_bytes], [Some(64 << 20), Some(1000)]);
    assert_eq!([deadline_ms, cpu_time_ms, artifacts], [Some(5_400_000), Some(250), Some(3)]);
    assert_eq!((policy.breaker.open_secs, policy.breaker.max_open_secs), (120, 500));
}

#[test]
fn an_amount_of_the_wrong_kind_is_refused_with_its_line_and_an_example() {
    for (line, wanted) in [
        ("memory_bytes = \"64 parsecs\"", "an amount of bytes, such as 1048576 or \"512MiB\""),
        ("memory_bytes = \"5min\"", "an amount of bytes"),
        ("memory_bytes = -1", "an amount of bytes"),
        ("memory_bytes = 1.5", "an amount of bytes"),
        ("deadline_ms = \"64MiB\"", "an amount of time such as \"10min\""),
        ("artifacts = \"3\"", "a whole number"),
        ("memory = 5", "unknown field `memory`"),
    ] {
        let error = policy(&format!("[limits]\n{line}\n")).unwrap_err().to_string();
        assert!(error.contains("line 2: ") && error.contains(wanted), "{line}: {error}");
    }
    let error = policy("[breaker]\nopen_secs = \"500ms\"\n").unwrap_err().to_string();
    assert!(error.contains("whole seconds such as \"10min\""), "{error}");
}

#[test]
fn what_the_operator_says_of_nothing_that_the_runner_asks_for_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let policy = policy(&format!(
        "capabilities = [\"/test/v1\", \"/tset/v1\"]\nenvironment = [\"MODEL\", \"MODLE\"]\n\
         network_hosts = [\"a.example.com\", \"b.example.com\"]\n[directories]\nmodels = {0:?}\nmodel = {0:?}\n",
        dir.path()
    ))
    .unwrap();
    let asked = Description {
        environment: vec!["MODEL".to_owned()],
        network_hosts: vec!["*.example.com".parse().unwrap()],
        directories: vec!["models".to_owned()],
        ..description()
    };
    let found = policy.without_effect(&asked);
    assert_eq!(
        found,
        [
            "capabilities: \"/tset/v1\": the runner does not claim it",
            "environment: \"MODLE\": the runner does not ask for it",
            "[directories]: \"model\": the runner does not ask for it",
        ]
    );
    let none = Description { capabilities: vec!["/other/v1".to_owned()], ..description() };
    assert_eq!(policy.without_effect(&none).len(), 8);
}
