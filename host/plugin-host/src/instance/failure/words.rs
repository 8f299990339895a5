//! What a runner's own language says of an error that nobody caught: the last thing that it prints before the trap, which
//! itself tells an author nothing.

use posemesh_text::shorten;

/// How many lines after a thrown error tell where it was thrown.
const MAX_PLACES: usize = 3;

/// The words of the runner's own language among its last lines, as `panicked: at src/lib.rs:3:5: ...`.
///
/// The last that there are: a runner may handle or print earlier ones, and only the last can have ended it.
pub(crate) fn own_words(tail: &[String], longest: usize) -> Option<String> {
    // A Python interpreter is a program that panics of the exception which it could not hand on, so it is asked first.
    let words =
        of_python(tail).or_else(|| of_rust(tail)).or_else(|| of_go(tail)).or_else(|| of_javascript(tail))?;
    Some(shorten(&words, longest).into_owned())
}

/// Where, and on the next line what.
fn of_rust(tail: &[String]) -> Option<String> {
    let at = tail.iter().rposition(|line| line.contains("panicked at"))?;
    let lines: Vec<&str> = tail.iter().skip(at).take(2).map(String::as_str).collect();
    Some(format!("panicked: {}", lines.join(" ")))
}

/// The line after the frames of the last traceback, with the innermost frame: `raised: ValueError: no (app.py:3 in run)`.
fn of_python(tail: &[String]) -> Option<String> {
    let is_frame = |line: &String| line.starts_with("  File \"") && line.contains(", line ");
    let frame_at = tail.iter().rposition(is_frame)?;
    // What the frame's source line and its marks are indented by.
    let error = tail.iter().skip(frame_at + 1).find(|line| !line.starts_with(' '))?;
    let place = tail.get(frame_at).and_then(|line| python_place(line)).unwrap_or_default();
    Some(format!("raised: {error}{place}"))
}

/// `  File "/0/app.py", line 3, in run` as ` (app.py:3 in run)`.
fn python_place(line: &str) -> Option<String> {
    let (path, rest) = line.strip_prefix("  File \"")?.split_once("\", line ")?;
    let file = path.rsplit('/').next()?;
    Some(match rest.split_once(", in ") {
        Some((number, function)) => format!(" ({file}:{number} in {function})"),
        None => format!(" ({file}:{rest})"),
    })
}

/// `panic: ` or `fatal error: `, before the stacks of the goroutines.
fn of_go(tail: &[String]) -> Option<String> {
    let line = tail
        .iter()
        .rev()
        .find_map(|line| line.strip_prefix("panic: ").or_else(|| line.strip_prefix("fatal error: ")))?;
    Some(format!("panicked: {line}"))
}

/// `TypeError: x is not a function`, and the first lines of its stack.
fn of_javascript(tail: &[String]) -> Option<String> {
    let is_place = |line: &&String| line.trim_start().starts_with("at ");
    let named = |line: &str| {
        let name = line.split_once(':').map_or(line, |(name, _)| name).trim_start_matches("Uncaught ");
        name.ends_with("Error") && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let at = tail.iter().rposition(|line| named(line))?;
    let places: Vec<&str> =
        tail.iter().skip(at + 1).take_while(is_place).take(MAX_PLACES).map(|line| line.trim()).collect();
    let error = tail.get(at)?;
    Some(if places.is_empty() {
        format!("threw: {error}")
    } else {
        format!("threw: {error} ({})", places.join(" "))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::own_words;

    fn words(printed: &str) -> Option<String> {
        let tail: Vec<String> = printed.lines().map(str::to_owned).collect();
        own_words(&tail, 200)
    }

    #[test]
    fn the_last_error_of_each_language_is_found_among_what_was_printed() {
        let rust = "reading\nthread '<unnamed>' panicked at src/lib.rs:12:5:\nno header\nnote: run with `RUST_BACKTRACE=1`";
        assert_eq!(
            words(rust).unwrap(),
            "panicked: thread '<unnamed>' panicked at src/lib.rs:12:5: no header"
        );
        let python = "Traceback (most recent call last):\n  File \"/0/app.py\", line 3, in run\n    parse(b)\n    ~~~~~^^^\n  File \
                      \"/0/lib/parse.py\", line 7, in parse\n    raise ValueError(\"no header\")\nValueError: no \
                      header\nthread '<unnamed>' panicked at runtime/src/lib.rs:1:1:\nPython function threw";
        assert_eq!(words(python).unwrap(), "raised: ValueError: no header (parse.py:7 in parse)");
        let go = "panic: no header [recovered]\n\ngoroutine 1 [running]:\nmain.run(0x1)\n\tmain.go:3";
        assert_eq!(words(go).unwrap(), "panicked: no header [recovered]");
        let js = "TypeError: lines is not a function\n    at run (app.js:3:9)\n    at main.js:1:1";
        assert_eq!(
            words(js).unwrap(),
            "threw: TypeError: lines is not a function (at run (app.js:3:9) at main.js:1:1)"
        );
    }

    #[test]
    fn what_is_no_error_is_nobodys_last_word() {
        for printed in ["", "all is well", "at last", "  File \"x\", line 3, in run", "Errors: 0 of 10"] {
            assert_eq!(words(printed), None, "{printed}");
        }
    }
}
