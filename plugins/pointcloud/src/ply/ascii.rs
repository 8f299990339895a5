//! Elements as text. As for other readers, a line break is a space: some writers put an entry on several
//! lines. But where the lines say otherwise than the header, and the counts don't hold either, the first
//! such line is what the error is about.

use std::slice::IterMut;

use super::header::quote;
use super::layout::{Element, Kind, Property};
use super::lines::{Irregular, Lines};
use super::source::Source;
use super::{make_room, number, wrong_position};
use crate::cloud::{Column, ScalarType};
use crate::failure::Failure;
use crate::progress::Progress;

/// Reads all entries of an element into `columns`, or skips them if there are none.
pub(super) fn read(
    source: &mut Source<'_>,
    lines: Lines<'_>,
    element: &Element,
    mut columns: Option<&mut [Column]>,
    progress: &mut Progress<'_>,
) -> Result<Irregular, Failure> {
    let mut reader = Reader { source, lines, word: Vec::new() };
    if element.properties.is_empty() {
        return Ok(reader.lines.into_irregular());
    }
    for index in 0..element.count {
        if let Some(columns) = columns.as_deref_mut() {
            make_room(columns, index, element.count)?;
        }
        let mut sinks = columns.as_deref_mut().map(|columns| columns.iter_mut());
        for (done, property) in element.properties.iter().enumerate() {
            reader.property(property, done, index, &mut sinks)?;
        }
        reader.lines.end_entry();
        progress.tick(index as usize, element.count as usize)?;
    }
    Ok(reader.lines.into_irregular())
}

/// Looks at what comes behind the last entry of the file. Words that belong to no entry are left alone, but
/// not if they show that the header's count does not hold.
pub(super) fn expect_end(
    source: &mut Source<'_>,
    last: &Element,
    irregular: Irregular,
) -> Result<(), Failure> {
    let mut word = Vec::new();
    let Some(fresh) = source.word(&mut word)? else { return Ok(()) };
    if let Some((line, what)) = irregular {
        return Err(Failure::at_line(line, what));
    }
    let first = last.properties.first();
    let entry = first.is_some_and(|property| {
        let (Kind::Scalar(kind) | Kind::List(kind, _)) = property.kind;
        str::from_utf8(&word).is_ok_and(|word| number::parse(word, kind).is_some())
    });
    if !fresh || entry {
        let found = quote(&String::from_utf8_lossy(&word));
        return Err(Failure::at_line(
            source.line,
            format!(
                "expected the end of the file after {} entries of element {}, found {found}; do the header's counts hold?",
                last.count, last.name
            ),
        ));
    }
    Ok(())
}

/// Where the columns take their values.
type Sinks<'a> = Option<IterMut<'a, Column>>;

/// Reads the words of one element.
struct Reader<'s, 'a, 'e> {
    source: &'s mut Source<'a>,
    lines: Lines<'e>,
    /// The word that is being looked at.
    word: Vec<u8>,
}

impl Reader<'_, '_, '_> {
    /// Reads one property of an entry.
    fn property(
        &mut self,
        property: &Property,
        done: usize,
        index: u64,
        sinks: &mut Sinks<'_>,
    ) -> Result<(), Failure> {
        let (Kind::Scalar(kind) | Kind::List(kind, _)) = property.kind;
        self.next(done, index)?;
        let value = self.number(property, kind)?;
        match property.kind {
            Kind::List(..) => {
                if !(value >= 0.0 && value.fract() == 0.0) {
                    return Err(self.wrong(property, "a length"));
                }
                for _ in 0..value as u64 {
                    self.next(done, index)?;
                }
            }
            Kind::Scalar(_) => {
                if let Some(column) = sinks.as_mut().and_then(Iterator::next) {
                    if let Some(what) = wrong_position(column, value, index) {
                        return Err(Failure::at_line(self.source.line, what));
                    }
                    column.values.push(value);
                }
            }
        }
        Ok(())
    }

    /// Goes to the next word, which belongs to property `done` of entry `index`.
    fn next(&mut self, done: usize, index: u64) -> Result<(), Failure> {
        let before = self.source.last_line;
        let Some(fresh) = self.source.word(&mut self.word)? else {
            return Err(self.lines.file_ends(before, done, index));
        };
        let word = &self.word;
        let found = || quote(&String::from_utf8_lossy(word));
        self.lines.word(fresh, before, done, index, found)
    }

    /// The word as a number.
    fn number(&mut self, property: &Property, kind: ScalarType) -> Result<f64, Failure> {
        let Ok(word) = str::from_utf8(&self.word) else {
            let what = "the line is not text; is the file binary, whatever its header says?";
            return Err(self.lines.irregular().unwrap_or_else(|| Failure::at_line(self.source.line, what)));
        };
        number::parse(word, kind).ok_or_else(|| self.wrong(property, number::describe(kind)))
    }

    /// A word is not what was expected; where lines are not as they should be before, that is why.
    fn wrong(&self, property: &Property, expected: &str) -> Failure {
        self.lines.irregular().unwrap_or_else(|| {
            let found = quote(&String::from_utf8_lossy(&self.word));
            let what = format!("expected {expected} for property {}, found {found}", property.name);
            Failure::at_line(self.source.line, what)
        })
    }
}
