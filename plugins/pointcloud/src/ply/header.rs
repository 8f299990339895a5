//! The header. What no reader can misunderstand is forgiven: blank lines, any spacing, line ends of any
//! system, comments in any place, capitals, names of any characters but spaces. What could be read in two
//! ways is an error with its line.

use super::layout::{Element, Encoding, Header, Kind, Property, scalar_type};
use super::source::Source;
use crate::cloud::Role;
use crate::failure::Failure;

/// A header with more than this many bytes is no header.
const LARGEST: usize = 1024 * 1024;
/// More properties than this make no sense, and each costs memory.
const MOST_PROPERTIES: usize = 1024;

const TYPES: &str = "char, uchar, short, ushort, int, uint, float or double (or int8 to float64)";

/// Reads up to and with `end_header`.
pub(super) fn read(source: &mut Source<'_>) -> Result<Header, Failure> {
    let mut parser = Parser::default();
    let (mut bytes, mut magic) = (Vec::new(), false);
    loop {
        let number = source.line;
        if !source.header_line(&mut bytes, LARGEST)? {
            break;
        }
        let line = bytes.trim_ascii();
        let line = if magic { line } else { line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line) };
        if line.is_empty() {
            continue;
        }
        let text = text(line);
        if !magic {
            if !text.eq_ignore_ascii_case("ply") {
                let found = quote(&text);
                return Err(Failure::at_line(
                    number,
                    format!("expected `ply`, found {found}; is this a PLY file?"),
                ));
            }
            magic = true;
            continue;
        }
        if parser.line(line, &text, number).map_err(|what| Failure::at_line(number, what))? {
            return parser.finish(number);
        }
        parser.last_line = number;
    }
    match magic {
        false => Err(Failure::at_byte(0, "the file is empty; expected a PLY header")),
        true => Err(Failure::at_line(
            parser.last_line.max(1),
            "the file ends within the header; expected `end_header`",
        )),
    }
}

/// What the lines said so far.
#[derive(Default)]
struct Parser {
    encoding: Option<Encoding>,
    elements: Vec<Element>,
    remarks: Vec<Vec<u8>>,
    properties: usize,
    /// The last line that was not blank.
    last_line: u64,
}

impl Parser {
    /// Takes a line that is not blank; true if it ends the header.
    fn line(&mut self, bytes: &[u8], text: &str, number: u64) -> Result<bool, String> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let (keyword, rest) = words.split_first().ok_or_else(|| explain(text))?;
        match (keyword.to_ascii_lowercase().as_str(), rest) {
            ("comment" | "obj_info", _) => self.remarks.push(bytes.to_vec()),
            ("format", [name, version]) => {
                let encoding = encoding(name, version).ok_or_else(|| explain(text))?;
                if self.encoding.is_some_and(|earlier| earlier != encoding) {
                    return Err(explain(text));
                }
                self.encoding = Some(encoding);
            }
            ("element", [name, count]) => {
                let count = count.parse().map_err(|_| explain(text))?;
                let element =
                    Element { name: (*name).to_owned(), count, properties: Vec::new(), line: number };
                if element.is_vertex() && self.elements.iter().any(Element::is_vertex) {
                    return Err(format!("{} was named before", quote(text)));
                }
                self.elements.push(element);
            }
            ("property", _) => self.property(rest, text)?,
            ("end_header", []) => return Ok(true),
            // The rest is never a header, and may be binary: don't look for its end there.
            _ => return Err(explain(text)),
        }
        if self.elements.len() + self.properties > MOST_PROPERTIES {
            return Err(format!("the header does not end; allowed are {MOST_PROPERTIES} properties"));
        }
        Ok(false)
    }

    fn property(&mut self, words: &[&str], text: &str) -> Result<(), String> {
        let named = |name: &str| scalar_type(name).ok_or_else(|| explain(text));
        let (name, kind) = match words {
            [list, length, item, name] if list.eq_ignore_ascii_case("list") => {
                (*name, Kind::List(named(length)?, named(item)?))
            }
            [kind, name] => (*name, Kind::Scalar(named(kind)?)),
            _ => return Err(explain(text)),
        };
        let element = self.elements.last_mut().ok_or_else(|| explain(text))?;
        // Two values for one coordinate, normal or colour: which one counts is anybody's guess. Anything else
        // is only passed on, or skipped.
        let known = Role::of(name) != Role::Other;
        if element.is_vertex() && known && element.properties.iter().any(|property| property.name == name) {
            return Err(format!("{} was named before", quote(text)));
        }
        element.properties.push(Property { name: name.to_owned(), kind });
        self.properties += 1;
        Ok(())
    }

    /// The header that ends at this line.
    fn finish(self, line: u64) -> Result<Header, Failure> {
        let Some(encoding) = self.encoding else {
            return Err(Failure::at_line(
                line,
                "the header has no valid format line; expected `format ascii 1.0` or `format binary_little_endian 1.0`",
            ));
        };
        let Some(vertex) = self.elements.iter().find(|element| element.is_vertex()) else {
            return Err(Failure::at_line(line, "the header has no `element vertex`; expected one"));
        };
        check_vertex(vertex)?;
        Ok(Header { encoding, elements: self.elements, remarks: self.remarks })
    }
}

/// The encoding that a format line names. There is one version, however it is written.
fn encoding(name: &str, version: &str) -> Option<Encoding> {
    if version.parse::<f64>() != Ok(1.0) {
        return None;
    }
    match name.to_ascii_lowercase().as_str() {
        "ascii" => Some(Encoding::Ascii),
        "binary_little_endian" => Some(Encoding::LittleEndian),
        "binary_big_endian" => Some(Encoding::BigEndian),
        _ => None,
    }
}

fn check_vertex(vertex: &Element) -> Result<(), Failure> {
    let found = |axis: &&str| {
        let scalar = |property: &Property| matches!(property.kind, Kind::Scalar(_));
        vertex.properties.iter().any(|property| scalar(property) && property.name.eq_ignore_ascii_case(axis))
    };
    let missing: Vec<&str> = ["x", "y", "z"].into_iter().filter(|axis| !found(axis)).collect();
    if !missing.is_empty() {
        let missing = missing.join(", ");
        return Err(Failure::at_line(
            vertex.line,
            format!("element vertex has no property {missing}; expected x, y and z"),
        ));
    }
    if u32::try_from(vertex.count).is_err() {
        let count = vertex.count;
        return Err(Failure::at_line(
            vertex.line,
            format!("{count} vertices are announced; at most {} can be read", u32::MAX),
        ));
    }
    Ok(())
}

/// A line as text: UTF-8, or else Latin-1, in which every byte is a letter.
fn text(line: &[u8]) -> String {
    match str::from_utf8(line) {
        Ok(text) => text.to_owned(),
        Err(_) => line.iter().map(|byte| char::from(*byte)).collect(),
    }
}

/// What is wrong with a line that is not understood.
fn explain(line: &str) -> String {
    let found = quote(line);
    let keyword = line.split_ascii_whitespace().next().map(str::to_ascii_lowercase);
    match keyword.as_deref() {
        Some("property") => format!(
            "expected `property TYPE NAME` (after an element) with a TYPE of {TYPES} and a NAME without spaces, or \
             `property list TYPE TYPE NAME`; found {found}"
        ),
        Some("element") => format!("expected `element NAME COUNT`, found {found}"),
        Some("format") => format!(
            "expected `format ascii 1.0`, `format binary_little_endian 1.0` or `format binary_big_endian 1.0`, and \
             only one of them; found {found}"
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
