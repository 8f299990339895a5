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
