use super::*;
use crate::config::variable::Group;

#[test]
fn amounts_of_bytes_are_read_and_shown_with_units() {
    let size = Variable::new(Group::Loading, "SIZE", "A size.");
    for (text, bytes, shown) in [("1048576", 1 << 20, "1MiB"), ("3 GiB", 3 << 30, "3GiB"), ("7", 7, "7")] {
        let environment = Environment::from_iter([("SIZE", text)]);
        let mut reader = SettingsReader::new(&environment);
        assert_eq!(reader.bytes(&size, 5, 0..=u64::MAX), bytes);
        assert_eq!(
            reader.finish().settings.first().map(|setting| setting.value.clone()),
            Some(shown.to_owned())
        );
    }
    for text in ["1.5GiB", "-1", "99999999999TiB", "MiB", "8"] {
        let environment = Environment::from_iter([("SIZE", text)]);
        let mut reader = SettingsReader::new(&environment);
        assert_eq!(reader.bytes(&size, 5, 0..=7), 5, "{text}: the default stands in");
        assert_eq!(reader.finish().problems.len(), 1, "{text}");
    }
}

#[test]
fn what_is_shown_stays_on_one_line_and_secrets_are_masked() {
    let shown = |variable: &Variable, value: &str| {
        let environment = Environment::default();
        let mut reader = SettingsReader::new(&environment);
        reader.problem(variable, Some(value), "wrong".to_owned());
        reader.finish().problems.into_iter().find_map(|problem| problem.value).unwrap_or_default()
    };
    let plain = Variable::new(Group::Status, "PLAIN", "Text.");
    assert_eq!(shown(&plain, "a\nb\u{1b}[2J"), r"a\nb\u{1b}[2J");
    assert_eq!(shown(&plain, &"x".repeat(500)).chars().count(), 201);
    assert_eq!(shown(&plain.secret(), "hunter2"), "[redacted]");
}

#[test]
fn times_are_read_with_units_and_never_rounded() {
    let variable = Variable::new(Group::Work, "TIME", "A time.");
    let read = |text: &str, in_seconds: bool| {
        let environment = Environment::from_iter([("TIME", text)]);
        let mut reader = SettingsReader::new(&environment);
        let (default, range) = (Duration::from_secs(5), 0..=4_000_000);
        let read = match in_seconds {
            true => reader.seconds(&variable, default, range),
            false => reader.millis(&variable, default, range),
        };
        (read, reader.finish().problems.len())
    };
    for (text, in_seconds, seconds) in [
        ("90", true, 90.0),
        ("10min", true, 600.0),
        ("1.5 h", true, 5400.0),
        ("2s", false, 2.0),
        ("250", false, 0.25),
    ] {
        assert_eq!(read(text, in_seconds), (Duration::from_secs_f64(seconds), 0), "{text}");
    }
    for text in ["1500ms", "5 minutes", "-1s", "50d"] {
        assert_eq!(read(text, true), (Duration::from_secs(5), 1), "{text}: the default stands in");
    }
}
