//! The header: `ply-rs-bw` parses it; here it is kept small, checked for what that forgives, and its
//! errors are told in words.

use std::collections::HashSet;

use ply_rs_bw::parser::{Parser, Reader};
use ply_rs_bw::ply::{DefaultElement, ElementDef, Header, PropertyType};

use super::source::Source;
use crate::failure::Failure;

/// A header with more than this many bytes is no header.
const LARGEST: usize = 256 * 1024;
/// More properties than this make no sense, and each costs memory.
const MOST_PROPERTIES: usize = 1024;

const TYPES: &str = "char, uchar, short, ushort, int, uint, float or double";

/// Reads up to and with `end_header`. Also says at which line `element vertex` is.
pub(super) fn read(source: &mut Source<'_>) -> Result<(Header, u64), Failure> {
    let lines = collect(source)?;
    let text = lines.join("\n") + "\n";
    let mut reader = Reader::new(text.as_bytes());
    let header = Parser::<DefaultElement>::new().read_header(&mut reader).map_err(|error| {
        match error.line().and_then(|number| Some((number, lines.get(number.checked_sub(1)?)?))) {
            Some((number, line)) => Failure::at_line(number as u64, explain(line)),
            None => Failure::at_line(
                lines.len() as u64,
                "the header has no valid format line; expected `format ascii 1.0` or `format binary_little_endian 1.0`",
            ),
        }
    })?;
    let vertex_line = lines.iter().position(|line| line.split_whitespace().take(2).eq(["element", "vertex"]));
    let (Some(index), Some(vertex)) = (vertex_line, header.elements.get("vertex")) else {
        return Err(Failure::at_line(lines.len() as u64, "the header has no `element vertex`; expected one"));
    };
    let line = index as u64 + 1;
    check_vertex(vertex, line)?;
    Ok((header, line))
}

/// The header's lines, trimmed. Names that come twice are an error here, for `ply-rs-bw` would take the
/// last and misread the rest of the file.
fn collect(source: &mut Source<'_>) -> Result<Vec<String>, Failure> {
    let (mut lines, mut bytes) = (Vec::new(), Vec::new());
    let (mut elements, mut properties) = (HashSet::new(), HashSet::new());
    while source.line(&mut bytes)? {
        let line = String::from_utf8_lossy(&bytes).trim().to_owned();
        let number = source.line;
        if number == 1 && line != "ply" {
            return Err(Failure::at_line(
                1,
                format!("expected `ply`, found {}; is this a PLY file?", quote(&line)),
            ));
        }
        let mut words = line.split_whitespace();
        let (first, last) = (words.next(), line.split_whitespace().last().unwrap_or_default());
        let fresh = match first {
            Some("element") => {
                properties.clear();
                elements.insert(words.next().unwrap_or_default().to_owned())
            }
            Some("property") => properties.insert(last.to_owned()),
            Some("ply" | "format" | "comment" | "obj_info" | "end_header") => true,
            // The rest is never a header, and may be binary: don't look for its end there.
            _ => return Err(Failure::at_line(number, explain(&line))),
        };
        if !fresh {
            return Err(Failure::at_line(number, format!("{} was named before", quote(&line))));
        }
        if source.offset as usize > LARGEST || properties.len() > MOST_PROPERTIES {
            let limits = format!("{LARGEST} bytes and {MOST_PROPERTIES} properties");
            return Err(Failure::at_line(number, format!("the header does not end; allowed are {limits}")));
        }
        let end = line == "end_header";
        lines.push(line);
        if end {
            return Ok(lines);
        }
    }
    match lines.len() {
        0 => Err(Failure::at_byte(0, "the file is empty; expected a PLY header")),
        count => {
            Err(Failure::at_line(count as u64, "the file ends within the header; expected `end_header`"))
        }
    }
}

fn check_vertex(vertex: &ElementDef, line: u64) -> Result<(), Failure> {
    let missing: Vec<&str> = ["x", "y", "z"]
        .into_iter()
        .filter(|name| {
            !vertex
                .properties
                .get(*name)
                .is_some_and(|property| matches!(property.data_type, PropertyType::Scalar(_)))
        })
        .collect();
    if !missing.is_empty() {
        let missing = missing.join(", ");
        return Err(Failure::at_line(
            line,
            format!("element vertex has no property {missing}; expected x, y and z"),
        ));
    }
    if u32::try_from(vertex.count).is_err() {
        let count = vertex.count;
        return Err(Failure::at_line(
            line,
            format!("{count} vertices are announced; at most {} can be read", u32::MAX),
        ));
    }
    Ok(())
}

/// What is wrong with a line that `ply-rs-bw` does not take.
fn explain(line: &str) -> String {
    let found = quote(line);
    match line.split_whitespace().next() {
        Some("property") => format!(
            "expected `property TYPE NAME` (after an element) with a TYPE of {TYPES} and a NAME of letters, digits, \
             `_` and `-`, or `property list TYPE TYPE NAME`; found {found}"
        ),
        Some("element") => format!("expected `element NAME COUNT`, found {found}"),
        Some("format") => format!(
            "expected `format ascii 1.0`, `format binary_little_endian 1.0` or `format binary_big_endian 1.0`, once; \
             found {found}"
        ),
        _ => format!("expected format, comment, obj_info, element, property or end_header; found {found}"),
    }
}

/// A piece of a file in an error: short, and with nothing that a terminal would obey.
pub(super) fn quote(text: &str) -> String {
    let mut short: String = text.chars().take(60).flat_map(char::escape_default).collect();
    if text.chars().nth(60).is_some() {
        short.push_str("...");
    }
    format!("`{short}`")
}
