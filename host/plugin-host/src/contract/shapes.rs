//! The records, variants and enums of a WIT package, by the names of their fields and cases: enough to say which of a
//! component's types is not the contract's, and how.
//!
//! It reads our own files, whose style is fixed: one field or case a line.

/// A record, variant or enum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Its name, such as `part-info`.
    pub(crate) name: &'static str,
    /// The names of its fields or cases, in order.
    pub(crate) parts: Vec<&'static str>,
}

/// Those of one file.
pub(super) fn read(wit: &'static str) -> Vec<Shape> {
    let mut shapes: Vec<Shape> = Vec::new();
    let mut is_open = false;
    for line in wit.lines().map(str::trim) {
        if line.starts_with("//") || line.starts_with('@') {
            continue;
        }
        let mut words = line.split_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some("record" | "variant" | "enum"), Some(name), Some("{")) => {
                shapes.push(Shape { name, parts: Vec::new() });
                is_open = true;
            }
            (Some("}"), ..) => is_open = false,
            (Some(part), ..) if is_open => {
                let name = part.split([':', '(', ',']).next().unwrap_or(part);
                if let Some(shape) = shapes.last_mut() {
                    shape.parts.push(name);
                }
            }
            _ => {}
        }
    }
    shapes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Line;

    #[test]
    fn records_variants_and_enums_are_read_with_their_parts() {
        let wit = "interface i {\n  /// record not {\n  @since(version = 0.1.0)\n  record a {\n    /// What.\n    \
                   one: u8,\n    two: option<string>,\n  }\n  f: func(x: u8);\n  enum b { \n    c,\n    d,\n  }\n  \
                   variant e {\n    f(string),\n    g,\n  }\n}";
        let found: Vec<_> = read(wit).into_iter().map(|shape| (shape.name, shape.parts.join(" "))).collect();
        let want = [("a", "one two"), ("b", "c d"), ("e", "f g")];
        assert_eq!(found, want.map(|(name, parts)| (name, parts.to_owned())));
    }

    #[test]
    fn lines_differ_where_they_are_known_to() {
        let requests = |line: Line| line.shapes().into_iter().find(|shape| shape.name == "requests");
        let parts = |line| requests(line).map(|shape| shape.parts).unwrap_or_default();
        let (old, new) = (parts(Line::V0_1), parts(Line::V0_2));
        assert!(old.contains(&"output-bytes") && !old.contains(&"artifacts"), "{old:?}");
        assert!(new.contains(&"artifacts"), "{new:?}");
    }
}
