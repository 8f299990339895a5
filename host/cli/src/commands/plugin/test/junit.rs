//! The results of cases as other tools read them: the XML of JUnit.

use std::fmt::Write as _;
use std::time::Duration;

use posemesh_text::escaped;

use crate::commands::plugin::cases::Ended;

/// One suite, a test case each.
pub(super) fn report(runner: &str, cases: &[Ended], took: Duration) -> String {
    let failed = cases.iter().filter(|case| !case.differences.is_empty()).count();
    let (suite, seconds) = (text(runner), took.as_secs_f64());
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"{suite}\" tests=\"{}\" \
         failures=\"{failed}\" errors=\"0\" time=\"{seconds:.3}\">\n",
        cases.len()
    );
    for case in cases {
        let (name, seconds) = (text(&case.name), case.took.as_secs_f64());
        // Writing to a string does not fail.
        let _ = write!(xml, "    <testcase classname=\"{suite}\" name=\"{name}\" time=\"{seconds:.3}\"");
        match case.differences.first() {
            None => xml.push_str("/>\n"),
            Some(first) => {
                let all = text(&case.differences.join("\n"));
                let _ = writeln!(
                    xml,
                    ">\n      <failure message=\"{}\">{all}</failure>\n    </testcase>",
                    text(first)
                );
            }
        }
    }
    xml.push_str("  </testsuite>\n</testsuites>\n");
    xml
}

/// Text that stands for itself in XML, in attributes as well. A runner's words may have characters that XML has no place for.
fn text(raw: &str) -> String {
    let lines: Vec<String> = raw.lines().map(|line| escaped(line).to_string()).collect();
    lines.join("\n").replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_case_has_all_its_differences_and_nothing_in_them_is_markup() {
        let case = |name: &str, differences: &[&str]| Ended {
            name: name.to_owned(),
            took: Duration::from_millis(1500),
            differences: differences.iter().map(|one| (*one).to_owned()).collect(),
            updated: Vec::new(),
            remarks: Vec::new(),
        };
        let cases = [case("good", &[]), case("bad", &["a < \"b\" & \u{1b}[2J", "second"])];
        let xml = report("runner", &cases, Duration::from_secs(2));
        assert!(xml.contains("tests=\"2\" failures=\"1\" errors=\"0\" time=\"2.000\""), "{xml}");
        assert!(xml.contains("name=\"good\" time=\"1.500\"/>"), "{xml}");
        assert!(xml.contains("<failure message=\"a &lt; &quot;b&quot; &amp; \\u{1b}[2J\">"), "{xml}");
        assert!(xml.contains("\nsecond</failure>") && !xml.contains('\u{1b}'), "{xml}");
    }
}
