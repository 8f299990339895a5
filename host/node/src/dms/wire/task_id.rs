//! The task's id in a lease that is not JSON as a whole: cut short, or with something after it.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use uuid::Uuid;

/// Reads as far as the JSON goes, and returns the `id` in `task` if it came before the break. An `id`
/// elsewhere belongs to something else.
pub(super) fn find(body: &[u8]) -> Option<Uuid> {
    let mut found = None;
    // A streaming reader passes the id on before it meets the break; a `Value` would be lost as a whole.
    let mut json = serde_json::Deserializer::from_slice(body);
    // That the body breaks off is known; only what came before counts.
    let _ = PathSeed { path: &["task", "id"], found: &mut found }.deserialize(&mut json);
    found
}

/// Reads an object and descends into the field that the path names first.
struct PathSeed<'a> {
    path: &'a [&'a str],
    found: &'a mut Option<Uuid>,
}

impl<'de> DeserializeSeed<'de> for PathSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for PathSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((wanted, rest)) = self.path.split_first() else { return Ok(()) };
        while let Some(name) = map.next_key::<Cow<'de, str>>()? {
            if name != *wanted {
                // Skipped without being built: the field may be large, and an `id` inside it is not the task's.
                map.next_value::<IgnoredAny>()?;
            } else if rest.is_empty() {
                let text = map.next_value::<Cow<'de, str>>()?;
                *self.found = Uuid::parse_str(&text).ok();
            } else {
                map.next_value_seed(PathSeed { path: rest, found: &mut *self.found })?;
            }
        }
        Ok(())
    }
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
            r#"{{"id":"{OTHER}","cancel":false,"task":{{"meta":{{"id":"{OTHER}"}},"id":"{ID}","label":"l"}},"x":[1]}}"#
        );
        let from = whole.find(ID).unwrap() + ID.len() + 1;
        for end in from..whole.len() {
            let part = whole.get(..end).unwrap();
            assert_eq!(find(part.as_bytes()).unwrap().to_string(), ID, "of {part}");
        }
        let trailing = format!("{whole}</html>");
        assert_eq!(find(trailing.as_bytes()).unwrap().to_string(), ID);
    }

    #[test]
    fn no_other_id_is_taken_for_it() {
        let foreign = format!(r#"{{"id":"{OTHER}","meta":{{"task":{{"id":"{OTHER}"}}}},"task":{{"id":"1111"#);
        for body in [foreign.as_str(), "", "[", r#"{"task":7,"#, r#"{"task":{"id":7,"#, "<html>"] {
            assert_eq!(find(body.as_bytes()), None, "{body}");
        }
    }
}
