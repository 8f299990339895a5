#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs::{Permissions, set_permissions};
use std::path::PathBuf;

use super::*;
use crate::config::{Config, Environment, Problems, SettingSource};

/// What a node needs at least, and lines of its own.
fn file(lines: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(DEFAULT_NAME);
    let key = "01".repeat(32);
    let text = format!(
        "reg_secret = \"hunter2\"\nsecp256k1_privhex = \"{key}\"\nplugins_dir = \"/srv/runners\"\ncache_dir = \"/c\"\n\
         work_dir = \"/w\"\n{lines}"
    );
    std::fs::write(&path, text).unwrap();
    set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    (dir, path)
}

fn load_with(variables: &[(&str, &str)], lines: &str) -> Result<Config, Problems> {
    let (_dir, path) = file(lines);
    let mut environment: Environment = variables.iter().copied().collect();
    environment.add_settings(read(&path, &Config::declared()).unwrap());
    Config::load(&environment)
}

fn load(lines: &str) -> Result<Config, Problems> {
    load_with(&[], lines)
}

fn shown(config: &Config, name: &str) -> String {
    let setting = config.effective().iter().find(|setting| setting.name == name).unwrap();
    format!("{} ({})", setting.value, setting.source)
}

#[test]
fn every_setting_has_a_key_of_the_type_that_is_natural_for_it() {
    let config = load(
        "max_concurrency = 0x4\nheartbeat_min_ratio = 0.2\nheartbeat_max_ratio = 1\nenable_noop = true\n\
         memory_budget = \"1GiB\"\nmax_component_bytes = 2_097_152\nlog_format = 'text'\nstatus_addr = \"off\"\n\
         siwe_chain_id = 1\nregister_max_retry = -1\nno_proxy = [\"a.example\", \"10.0.0.0/8\"]\n",
    )
    .unwrap();
    for (name, value) in [
        ("MAX_CONCURRENCY", "4"),
        ("HEARTBEAT_MIN_RATIO", "0.2"),
        ("HEARTBEAT_MAX_RATIO", "1"),
        ("ENABLE_NOOP", "true"),
        ("MEMORY_BUDGET", "1GiB"),
        ("MAX_COMPONENT_BYTES", "2MiB"),
        ("LOG_FORMAT", "text"),
        ("STATUS_ADDR", "off"),
        ("SIWE_CHAIN_ID", "1"),
        ("NO_PROXY", "a.example,10.0.0.0/8"),
        ("REG_SECRET", "[redacted]"),
    ] {
        assert_eq!(shown(&config, name), format!("{value} (settings file)"), "{name}");
    }
}

#[test]
fn what_a_file_says_of_every_setting_is_read_back_as_it_is() {
    let config = load("no_proxy = [\"a.example\", \"b.example\"]\nnode_version = 'a \"b\" \\ c'\n").unwrap();
    let lines: Vec<String> = config
        .effective()
        .iter()
        .filter(|setting| setting.is_input)
        .map(|setting| setting.as_toml())
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("again.toml");
    std::fs::write(&path, lines.join("\n")).unwrap();
    let again = read(&path, &Config::declared()).unwrap();
    assert_eq!(again.problems, [], "{lines:#?}");
    let mut environment =
        Environment::from_iter([("REG_SECRET", "x"), ("SECP256K1_PRIVHEX", &"01".repeat(32))]);
    environment.add_settings(again);
    let again = Config::load(&environment).unwrap();
    for setting in config.effective().iter().filter(|setting| setting.is_input) {
        let again = shown(&again, setting.name);
        let value = again.strip_suffix(" (settings file)").unwrap();
        // A URL that was read ends in the slash of its path.
        let without_slash = |value: &str| value.trim_end_matches('/').to_owned();
        assert_eq!(without_slash(value), without_slash(&setting.value), "{}", setting.name);
    }
}

#[test]
fn the_environment_comes_before_the_env_file_and_that_before_the_settings_file() {
    let (dir, path) = file(
        "max_concurrency = 2\nrust_log = \"warn\"\nlog_format = \"text\"\nhttp_proxy = \"http://f:1\"\n",
    );
    let env_file = dir.path().join(".env");
    std::fs::write(&env_file, "MAX_CONCURRENCY=3\nRUST_LOG=error\n").unwrap();
    let mut environment =
        Environment::from_iter([("RUST_LOG", "debug"), ("LOG_FORMAT", " "), ("http_proxy", "http://e:1")]);
    environment.add_from_file(&env_file).unwrap();
    environment.add_settings(read(&path, &Config::declared()).unwrap());
    let config = Config::load(&environment).unwrap();
    assert_eq!(shown(&config, "RUST_LOG"), "debug (environment)");
    assert_eq!(shown(&config, "MAX_CONCURRENCY"), "3 (env file)");
    assert_eq!(shown(&config, "PLUGINS_DIR"), "/srv/runners (settings file)");
    assert_eq!(shown(&config, "LOG_FORMAT"), "json (default)", "blank hides the line of the file");
    assert_eq!(shown(&config, "http_proxy"), "http://e:1 (environment)", "whichever way it is spelled");
    assert_eq!(config.file_of(SettingSource::SettingsFile), Some(path.as_path()));
}

#[test]
fn keys_that_are_none_and_values_of_another_type_are_told_together_with_their_lines() {
    let problems =
        load("max_concurency = 4\nMAX_CONCURRENCY = 4\n[servers]\ndms = 1\n[log]\nformat = \"hunter3\"\n")
            .unwrap_err();
    let lines: Vec<String> = problems.0.iter().map(ToString::to_string).collect();
    assert_eq!(lines.len(), 4, "{lines:#?}");
    for (line, said) in [
        (6, "max_concurency: there is no such setting; is max_concurrency meant?"),
        (7, "MAX_CONCURRENCY: there is no such setting; is max_concurrency meant?"),
        (8, "servers: there is no such setting; there are no tables"),
        (10, "log: there is no such setting"),
    ] {
        let want = format!("{DEFAULT_NAME} line {line}: {said}");
        assert!(lines.iter().any(|one| one.contains(&want)), "{want}\n{lines:#?}");
    }
    let problems = load(
        "max_concurrency = \"4\"\nenable_noop = \"true\"\nlog_format = true\nheartbeat_min_ratio = \"x\"\n\
         memory_budget = 0.5\nno_proxy = [1]\nrust_log = 2026-01-01\nrequest_timeout_secs = 0\n",
    )
    .unwrap_err();
    let all = problems.to_string();
    for (line, said) in [
        (6, "max_concurrency: it is a text, and takes a whole number; allowed: whole numbers from 1 to 4096"),
        (7, "enable_noop: it is a text, and takes `true` or `false`, without quotes"),
        (8, "log_format: it is a truth value, and takes a text in quotes; allowed: json, text"),
        (9, "heartbeat_min_ratio: it is a text, and takes a number"),
        (
            10,
            "memory_budget: it is a number with a fraction, and takes a whole number, or a text with a unit",
        ),
        (11, "no_proxy: it is a list, and takes a list of texts"),
        (12, "rust_log: it is a date or a time, and takes a text in quotes"),
        (13, "REQUEST_TIMEOUT_SECS=0: out of range; allowed: whole numbers from 1 to 3600"),
    ] {
        assert!(all.contains(&format!("{DEFAULT_NAME} line {line}: {said}")), "line {line}: {said}\n{all}");
    }
}

#[test]
fn a_file_that_is_no_toml_is_refused_by_its_line_and_not_quoted() {
    for (text, line, said) in [
        ("a = 1\nreg_secret = hunter2\n", 2, ""),
        ("a = 1\na = 2\n", 2, "duplicate key"),
        ("reg_secret = \"hunter2\n", 1, ""),
        ("\n\n= \"hunter2\"\n", 3, ""),
    ] {
        let (_dir, path) = file("");
        std::fs::write(&path, text).unwrap();
        let error = read(&path, &Config::declared()).unwrap_err().to_string();
        assert!(error.contains(&format!("{DEFAULT_NAME}: line {line}: ")) && error.contains(said), "{error}");
        assert!(!error.contains("hunter"), "{error}");
    }
    let (dir, path) = file("");
    std::fs::write(&path, b"a = 1\nb = \"\xff\"").unwrap();
    assert!(read(&path, &[]).unwrap_err().to_string().ends_with("line 2 is not UTF-8"));
    assert!(read(dir.path(), &[]).unwrap_err().to_string().contains("a folder"));
    std::fs::write(&path, "#".repeat(MAX_BYTES as usize + 1)).unwrap();
    assert!(read(&path, &[]).unwrap_err().to_string().contains("more than 1048576 bytes"));
    let missing = read(Path::new("/nowhere/x.toml"), &[]).unwrap_err().to_string();
    assert!(missing.starts_with("read the settings file /nowhere/x.toml: "), "{missing}");
}

#[test]
fn a_file_with_secrets_that_everybody_can_read_is_warned_of() {
    let (_dir, path) = file("");
    let warning = |mode, text: Option<&str>| {
        if let Some(text) = text {
            std::fs::write(&path, text).unwrap();
        }
        set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        read(&path, &Config::declared()).unwrap().warning
    };
    let told = warning(0o644, None).unwrap();
    assert!(told.contains("it has reg_secret") && told.contains("mode 644"), "{told}");
    assert_eq!(warning(0o640, None), None);
    assert_eq!(warning(0o644, Some("http_proxy = \"http://p:1\"")), None, "nothing in it is a secret");
    let told = warning(0o644, Some("http_proxy = \"http://me:hunter2@p:1\"")).unwrap();
    assert!(told.contains("http_proxy") && !told.contains("hunter2"), "{told}");
    let told = warning(0o646, Some("max_concurrency = 1")).unwrap();
    assert!(told.contains("may write the settings") && told.contains("mode 646"), "{told}");
}

#[test]
fn what_two_configurations_differ_in_is_told_by_name_and_secrets_by_their_digests() {
    let before = load("max_concurrency = 2\nhttp_proxy = \"http://me:hunter2@p:1\"\n").unwrap();
    let same = load_with(&[("MAX_CONCURRENCY", "2")], "http_proxy = \"http://me:hunter2@p:1\"\n").unwrap();
    assert_eq!(before.differences(&same), [], "where a value comes from makes no difference");
    let after = load_with(
        &[("REG_SECRET", "hunter4")],
        "max_concurrency = 3\nhttp_proxy = \"http://me:hunter3@p:1\"\nno_proxy = []\n",
    )
    .unwrap();
    let told: Vec<String> = before
        .differences(&after)
        .iter()
        .map(|one| format!("{} {} {}", one.name, one.before, one.after))
        .collect();
    assert_eq!(
        told,
        [
            "HTTP_PROXY http://[redacted]@p:1 http://[redacted]@p:1",
            "MAX_CONCURRENCY 2 3",
            "REG_SECRET [redacted] [redacted]"
        ]
    );
}
