//! What holds for the parser of `Content-Disposition`. An input is the header's value.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

use bytes::Bytes;
use posemesh_domain_data::disposition::{Disposition, DispositionError, parse};
use posemesh_domain_data::multipart::{MultipartError, MultipartEvent, MultipartLimits, MultipartReader};

const KNOWN: [&str; 7] = ["id", "domain-id", "name", "data-type", "size", "created-at", "updated-at"];

/// Everything below, for the text of `input`.
pub fn holds(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    assert_eq!(parse(&text), reference(&text), "the parser and its reference differ");
    the_reader_hands_it_on(&text);
    comes_back(&made_of(&text));
    if let Ok(read) = parse(&text) {
        only_what_was_there(&text, &read);
        comes_back(&read);
    }
}

/// The same written a second time, by another hand: one character after the other, into a map.
pub fn reference(text: &str) -> Result<Disposition, DispositionError> {
    let mut rest = text.chars().peekable();
    if !up_to(&mut rest, ';').trim().eq_ignore_ascii_case("form-data") {
        return Err(DispositionError::NotFormData);
    }
    let mut found = BTreeMap::new();
    loop {
        while rest.next_if(|c| *c == ';' || c.is_whitespace()).is_some() {}
        if rest.peek().is_none() {
            break;
        }
        let key = up_to(&mut rest, '=');
        let key = key.trim().to_ascii_lowercase();
        if rest.next() != Some('=') || key.is_empty() || key.contains([';', '"']) {
            return Err(DispositionError::Malformed);
        }
        let value = value(&mut rest)?;
        if let Some(known) = KNOWN.iter().find(|known| **known == key)
            && found.insert(*known, value).is_some()
        {
            return Err(DispositionError::Duplicate(known));
        }
    }
    let size = found.remove("size").ok_or(DispositionError::MissingSize)?;
    if size.is_empty() || size.contains(|c: char| !c.is_ascii_digit()) {
        return Err(DispositionError::BadSize);
    }
    let size = size.parse().map_err(|_| DispositionError::BadSize)?;
    let mut text = |key| found.remove(key).unwrap_or_default();
    let (id, domain_id, name, data_type) = (text("id"), text("domain-id"), text("name"), text("data-type"));
    let mut time = |key| Some(text(key)).filter(|text| !text.is_empty());
    Ok(Disposition {
        created_at: time("created-at"),
        updated_at: time("updated-at"),
        id,
        domain_id,
        name,
        data_type,
        size,
    })
}

fn up_to(rest: &mut Peekable<Chars<'_>>, end: char) -> String {
    std::iter::from_fn(|| rest.next_if(|c| *c != end)).collect()
}

fn value(rest: &mut Peekable<Chars<'_>>) -> Result<String, DispositionError> {
    while rest.next_if(|c| c.is_whitespace()).is_some() {}
    if rest.next_if_eq(&'"').is_none() {
        return Ok(up_to(rest, ';').trim().to_owned());
    }
    let mut value = String::new();
    loop {
        match rest.next().ok_or(DispositionError::Malformed)? {
            '"' => break,
            '\\' => value.push(rest.next_if(|c| matches!(c, '"' | '\\')).unwrap_or('\\')),
            other => value.push(other),
        }
    }
    while rest.next_if(|c| c.is_whitespace()).is_some() {}
    if rest.peek().is_none_or(|c| *c == ';') { Ok(value) } else { Err(DispositionError::Malformed) }
}

/// In a body the header means the same as alone.
fn the_reader_hands_it_on(text: &str) {
    if text.contains('\n') {
        return;
    }
    let limits = MultipartLimits { header_bytes: text.len() + 64, part_bytes: u64::MAX, parts: 1 };
    let mut reader = MultipartReader::new("B", limits);
    reader.feed(Bytes::from(format!("--B\nContent-Disposition:{text}\n\n")));
    let said = reader.next_event();
    // A carriage return at the end belongs to the line's end.
    match parse(text.strip_suffix('\r').unwrap_or(text)) {
        Ok(read) => assert_eq!(said, Ok(Some(MultipartEvent::Part(read)))),
        Err(error) => assert_eq!(said, Err(MultipartError::Disposition(error))),
    }
}

/// Nothing is invented, a second size is never passed over, and what is unknown changes nothing.
fn only_what_was_there(text: &str, read: &Disposition) {
    assert!(text.contains(&read.size.to_string()), "the size {} is not in the header", read.size);
    for field in [&read.id, &read.domain_id, &read.name, &read.data_type] {
        assert!(field.len() < text.len(), "a parameter is longer than the header");
    }
    for again in ["size=1", "SIZE = \"1\"", &format!("Size={}", read.size)] {
        let twice = format!("{text};{again}");
        assert_eq!(parse(&twice), Err(DispositionError::Duplicate("size")), "{twice}");
    }
    let more = text.replacen(';', "; x=\"; size=9; id=\\\"\"; y=;;", 1) + ";\tz = size";
    assert_eq!(parse(&more).as_ref(), Ok(read), "{more}");
}

/// However it is written, it is read as what it is.
fn comes_back(given: &Disposition) {
    let fields = fields(given);
    let quoted = |value: &str| format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
    let forwards: String = fields.iter().map(|(key, value)| format!("; {key}={}", quoted(value))).collect();
    let backwards: String = fields
        .iter()
        .rev()
        .map(|(key, value)| {
            // Not everything can stand without quotes.
            let plain = value.trim() == value && !value.contains(';') && !value.starts_with('"');
            let value = if plain { value.clone() } else { quoted(value) };
            format!(";{} = {value} ", key.to_uppercase())
        })
        .collect();
    for written in [format!("form-data{forwards}"), format!(" Form-DATA {backwards};")] {
        assert_eq!(parse(&written).as_ref(), Ok(given), "{written}");
    }
}

fn fields(of: &Disposition) -> Vec<(&'static str, String)> {
    let size = of.size.to_string();
    let values = [
        Some(&of.id),
        Some(&of.domain_id),
        Some(&of.name),
        Some(&of.data_type),
        Some(&size),
        of.created_at.as_ref(),
        of.updated_at.as_ref(),
    ];
    KNOWN.into_iter().zip(values).filter_map(|(key, value)| Some((key, value?.clone()))).collect()
}

/// A disposition whose texts are pieces of the input.
fn made_of(text: &str) -> Disposition {
    let mut pieces = text.split('|').map(str::to_owned);
    let mut next = || pieces.next().unwrap_or_default();
    let (id, domain_id, name, data_type) = (next(), next(), next(), next());
    let size = next()
        .bytes()
        .fold(text.len() as u64, |sum, byte| sum.wrapping_mul(257).wrapping_add(u64::from(byte)));
    let mut time = || Some(next()).filter(|text| !text.is_empty());
    Disposition { created_at: time(), updated_at: time(), id, domain_id, name, data_type, size }
}
