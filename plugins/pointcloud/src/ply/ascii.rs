//! Elements as text: one line each.

use std::slice::IterMut;
use std::str::{FromStr, SplitAsciiWhitespace};

use ply_rs_bw::ply::{ElementDef, PropertyDef, PropertyType, ScalarType};

use super::header::quote;
use super::source::Source;
use super::{make_room, wrong_position};
use crate::cloud::Column;
use crate::failure::Failure;
use crate::progress::Progress;

/// Reads all entries of an element into `columns`, or skips them if there are none.
pub(super) fn read(
    source: &mut Source<'_>,
    element: &ElementDef,
    mut columns: Option<&mut [Column]>,
    progress: &mut Progress<'_>,
) -> Result<(), Failure> {
    let mut line = Vec::new();
    if element.properties.is_empty() {
        return Ok(());
    }
    for index in 0..element.count {
        if !next_line(source, &mut line)? {
            return Err(Failure::at_line(
                source.line,
                format!(
                    "the file ends after {index} entries of element {}; expected {}",
                    element.name, element.count
                ),
            ));
        }
        if let Some(columns) = columns.as_deref_mut() {
            make_room(columns, index as u64, element.count as u64)?;
            let text = str::from_utf8(&line).map_err(|_| {
                Failure::at_line(
                    source.line,
                    "the line is not text; is the file binary, whatever its header says?",
                )
            })?;
            row(text, element, columns, index as u64).map_err(|what| Failure::at_line(source.line, what))?;
        }
        progress.tick(index, element.count)?;
    }
    Ok(())
}

/// Makes sure that nothing but space follows.
pub(super) fn expect_end(source: &mut Source<'_>) -> Result<(), Failure> {
    let mut line = Vec::new();
    if next_line(source, &mut line)? {
        let found = quote(&String::from_utf8_lossy(&line));
        return Err(Failure::at_line(
            source.line,
            format!("expected the end of the file, found {found}; do the header's counts hold?"),
        ));
    }
    Ok(())
}

/// The next line that is not blank.
fn next_line(source: &mut Source<'_>, line: &mut Vec<u8>) -> Result<bool, Failure> {
    while source.line(line)? {
        if !line.trim_ascii().is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Reads one line into the columns.
fn row(text: &str, element: &ElementDef, columns: &mut [Column], index: u64) -> Result<(), String> {
    let mut words = text.split_ascii_whitespace();
    let mut columns = columns.iter_mut();
    for (done, property) in element.properties.values().enumerate() {
        value(&mut words, property, &mut columns, index).map_err(|what| match what {
            Some(what) => what,
            None => format!(
                "expected {} properties ({}), found {done}",
                element.properties.len(),
                element.properties.keys().map(String::as_str).collect::<Vec<_>>().join(" ")
            ),
        })?;
    }
    match words.next() {
        Some(word) => {
            Err(format!("expected {} properties, found more: {}", element.properties.len(), quote(word)))
        }
        None => Ok(()),
    }
}

/// Reads one property. An error without text is a line that ends too early.
fn value(
    words: &mut SplitAsciiWhitespace<'_>,
    property: &PropertyDef,
    columns: &mut IterMut<'_, Column>,
    index: u64,
) -> Result<(), Option<String>> {
    let word = words.next().ok_or(None)?;
    let wrong = |kind: &ScalarType| {
        Some(format!("expected {} for property {}, found {}", describe(kind), property.name, quote(word)))
    };
    match &property.data_type {
        PropertyType::List(kind, _) => {
            let count: usize = word.parse().map_err(|_| wrong(kind))?;
            for _ in 0..count {
                words.next().ok_or(None)?;
            }
        }
        PropertyType::Scalar(kind) => {
            let value = parse(word, kind).ok_or_else(|| wrong(kind))?;
            if let Some(column) = columns.next() {
                if let Some(what) = wrong_position(column, value, index) {
                    return Err(Some(what));
                }
                column.values.push(value);
            }
        }
    }
    Ok(())
}

fn parse(word: &str, kind: &ScalarType) -> Option<f64> {
    fn exact<T: FromStr + Into<f64>>(word: &str) -> Option<f64> {
        word.parse::<T>().ok().map(Into::into)
    }
    match kind {
        ScalarType::Char => exact::<i8>(word),
        ScalarType::UChar => exact::<u8>(word),
        ScalarType::Short => exact::<i16>(word),
        ScalarType::UShort => exact::<u16>(word),
        ScalarType::Int => exact::<i32>(word),
        ScalarType::UInt => exact::<u32>(word),
        ScalarType::Float => exact::<f32>(word),
        ScalarType::Double => exact::<f64>(word),
    }
}

fn describe(kind: &ScalarType) -> &'static str {
    match kind {
        ScalarType::Char => "a char (-128 to 127)",
        ScalarType::UChar => "an uchar (0 to 255)",
        ScalarType::Short => "a short (-32768 to 32767)",
        ScalarType::UShort => "an ushort (0 to 65535)",
        ScalarType::Int => "an int (32 bits)",
        ScalarType::UInt => "an uint (32 bits)",
        ScalarType::Float | ScalarType::Double => "a number",
    }
}
