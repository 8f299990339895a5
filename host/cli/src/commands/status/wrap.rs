//! Lines of 80 columns: a name, and a text that goes on below itself.

/// Columns of a terminal that nobody has widened.
const COLUMNS: usize = 80;
/// Where the text of a line with a name begins.
const NAME: usize = 10;

/// Adds a name with its text.
pub(super) fn named(out: &mut String, name: &str, text: &str) {
    add(out, &format!("{name:<NAME$}"), NAME, text);
}

/// Adds a text behind so many spaces; what goes on stands two further.
pub(super) fn indented(out: &mut String, columns: usize, text: &str) {
    add(out, &" ".repeat(columns), columns + 2, text);
}

/// Breaks a text between words; one that is longer than a line is left whole, since somebody may want to copy it.
fn add(out: &mut String, begin: &str, indent: usize, text: &str) {
    let mut line = begin.to_owned();
    let mut is_empty = true;
    for word in text.split(' ') {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > COLUMNS {
            out.push_str(line.trim_end());
            out.push('\n');
            line = " ".repeat(indent);
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    out.push_str(line.trim_end());
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_break_between_words_and_long_words_stay_whole() {
        let mut out = String::new();
        named(&mut out, "requests", &"word ".repeat(20));
        let long = "x".repeat(90);
        named(&mut out, "", &format!("a {long} b"));
        indented(&mut out, 2, &"word ".repeat(16));
        let lines: Vec<&str> = out.lines().collect();
        assert!(lines.iter().all(|line| line.len() <= 80 || line.contains(&long)), "{out}");
        assert!(lines.first().is_some_and(|line| line.starts_with("requests  word word")), "{out}");
        assert!(lines.contains(&&*format!("          {long}")) && lines.contains(&"    word"), "{out}");
    }
}
