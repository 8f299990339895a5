//! The task's id in a lease that can't be read: it is no JSON as a whole, was cut short, or is too large to be kept.

use uuid::Uuid;

use crate::dms::large_body::Scan;

/// The longest text that is kept: a UUID has at most 45 characters, the names looked for have fewer.
const LONGEST_TEXT: usize = 64;

/// Looks for the `id` in `task`, or else for `task_id`, in JSON that arrives in pieces. An `id` elsewhere belongs to
/// something else.
///
/// Holds one short text and a few numbers, however long the JSON is and however deep it is nested. Whether the JSON is
/// well formed does not matter as long as its brackets and quotes are.
#[derive(Debug, Default)]
pub(in crate::dms) struct TaskIdSearch {
    /// Open arrays and objects.
    depth: usize,
    /// The string that is being read.
    string: Option<Text>,
    /// The next text is a field's name, not its value. Kept up to date where names are read, and nowhere else.
    name_next: bool,
    /// The last name that was read in the lease itself, and in its `task`.
    names: [Name; 2],
    /// Whether the object at depth 2 is that of `task`.
    in_task: bool,
    /// The JSON has ended, or is none.
    ended: bool,
    /// The `id` in `task`.
    task_id: Option<Uuid>,
    /// `task_id` beside `task`.
    stand_in: Option<Uuid>,
}

/// A string that is being read.
#[derive(Debug, Default)]
struct Text {
    /// As it is written; none if nobody wants to know it or it is too long.
    kept: Option<Vec<u8>>,
    escaped: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Name {
    Task,
    Id,
    TaskId,
    #[default]
    Other,
}

impl TaskIdSearch {
    /// The id, as far as is known.
    pub(in crate::dms) fn found(&self) -> Option<Uuid> {
        // `task_id` counts in whole JSON only: as long as more may come, a `task` may still follow.
        self.task_id.or(self.stand_in.filter(|_| self.ended))
    }

    fn byte(&mut self, byte: u8) {
        if let Some(mut text) = self.string.take() {
            match byte {
                b'"' if !text.escaped => return self.string_ended(text),
                _ => text.push(byte),
            }
            self.string = Some(text);
            return;
        }
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {}
            // A lease is an object, whatever else may stand there: an error page, a list.
            _ if self.depth == 0 && byte != b'{' => self.ended = true,
            b'"' => {
                let kept = self.reads_names().then(Vec::new);
                self.string = Some(Text { kept, escaped: false });
            }
            b'{' | b'[' => {
                self.depth += 1;
                if self.depth == 2 {
                    self.in_task = byte == b'{' && self.names[0] == Name::Task;
                }
                self.name_next = true;
            }
            b'}' | b']' => {
                self.depth -= 1;
                self.ended = self.depth == 0;
                // What was read of a name deeper down says nothing about what comes next here.
                self.name_next = false;
            }
            b',' if self.reads_names() => self.name_next = true,
            b':' if self.reads_names() => self.name_next = false,
            _ => {}
        }
    }

    /// Whether this is the lease itself or its `task`.
    fn reads_names(&self) -> bool {
        self.depth == 1 || (self.depth == 2 && self.in_task)
    }

    fn string_ended(&mut self, text: Text) {
        // Parsed as JSON, so that a name counts however it is escaped.
        let text = text.kept.and_then(|kept| {
            let quoted = [b"\"", kept.as_slice(), b"\""].concat();
            serde_json::from_slice::<String>(&quoted).ok()
        });
        let text = text.as_deref();
        let [in_lease, in_task] = &mut self.names;
        let name = if self.depth == 1 { in_lease } else { in_task };
        match (self.depth, self.name_next) {
            (1 | 2, true) if self.depth == 1 || self.in_task => *name = Name::of(text),
            (1, false) if *name == Name::TaskId => self.stand_in = text.and_then(parse),
            (2, false) if self.in_task && *name == Name::Id => self.task_id = text.and_then(parse),
            _ => {}
        }
    }
}

impl Scan for TaskIdSearch {
    fn feed(&mut self, piece: &[u8]) {
        for byte in piece {
            if self.ended {
                return;
            }
            self.byte(*byte);
        }
    }

    fn is_over(&self) -> bool {
        // A second `task` might still follow; nobody writes one.
        self.ended || self.task_id.is_some()
    }
}

impl Text {
    fn push(&mut self, byte: u8) {
        self.escaped = byte == b'\\' && !self.escaped;
        if let Some(kept) = &mut self.kept {
            kept.push(byte);
            if kept.len() > LONGEST_TEXT {
                self.kept = None;
            }
        }
    }
}

impl Name {
    fn of(text: Option<&str>) -> Self {
        match text {
            Some("task") => Self::Task,
            Some("id") => Self::Id,
            Some("task_id") => Self::TaskId,
            _ => Self::Other,
        }
    }
}

fn parse(text: &str) -> Option<Uuid> {
    Uuid::parse_str(text.trim()).ok()
}

/// The id in a body that is there.
pub(super) fn find(body: &[u8]) -> Option<Uuid> {
    let mut search = TaskIdSearch::default();
    search.feed(body);
    search.found()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const ID: &str = "11111111-1111-4111-8111-111111111111";
    const OTHER: &str = "22222222-2222-4222-8222-222222222222";

    #[test]
    fn the_id_is_found_wherever_the_lease_ends_after_it() {
        let whole = format!(
            r#"{{"id":"{OTHER}","cancel":false,"a":[{{"task":{{"id":"{OTHER}"}}}}],"task":{{"meta":{{"id":"{OTHER}",
                "s":"\"}}\\"}},"l":["id","{OTHER}"],"id" : "{ID}","label":"id"}},"x":[1]}}"#
        );
        let from = whole.find(ID).unwrap() + ID.len() + 1;
        for end in from..whole.len() {
            let part = whole.get(..end).unwrap();
            assert_eq!(find(part.as_bytes()).unwrap().to_string(), ID, "of {part}");
        }
        let trailing = format!("{whole}</html>");
        assert_eq!(find(trailing.as_bytes()).unwrap().to_string(), ID);
        let mut in_pieces = TaskIdSearch::default();
        whole.bytes().for_each(|byte| in_pieces.feed(&[byte]));
        assert_eq!(in_pieces.found().unwrap().to_string(), ID);
    }

    #[test]
    fn no_other_id_is_taken_for_it() {
        let foreign = format!(r#"{{"id":"{OTHER}","meta":{{"task":{{"id":"{OTHER}"}}}},"task":{{"id":"1111"#);
        let in_value = format!(r#"{{"a":"task","b":{{"id":"{OTHER}"}},"task":["id","{OTHER}"]}}"#);
        let in_list = format!(r#"[{{"task":{{"id":"{OTHER}"}}}}]"#);
        for body in [&foreign, &in_value, &in_list, "", "[", r#"{"task":7,"#, r#"{"task":{"id":7,"#, "<html>"]
        {
            assert_eq!(find(body.as_bytes()), None, "{body}");
        }
    }

    #[test]
    fn task_id_stands_in_when_no_task_can_follow_any_more() {
        let whole = format!(r#"{{"task_id":"{ID}","task":{{"label":"x"}}}}"#);
        assert_eq!(find(whole.as_bytes()).unwrap().to_string(), ID);
        assert_eq!(find(whole.trim_end_matches('}').as_bytes()), None, "the `id` may still have followed");
        let both = format!(r#"{{"task_id":"{OTHER}","t\u0061sk":{{"id":"{ID}"}}}}"#);
        assert_eq!(find(both.as_bytes()).unwrap().to_string(), ID);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_search_panic(body: Vec<u8>, rest in "[\\[\\]{}:,\"a\\\\]*") {
            let mut search = TaskIdSearch::default();
            search.feed(&body);
            search.feed(rest.as_bytes());
            let mut structured = TaskIdSearch::default();
            structured.feed(b"{");
            structured.feed(rest.as_bytes());
            let _ = (search.found(), structured.is_over());
        }
    }
}
