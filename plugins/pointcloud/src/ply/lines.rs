//! How the entries of an ascii file lie on its lines.
//!
//! An entry begins on a line of its own and takes as many lines as the first one. Files without this rule
//! are read nonetheless if everything else fits; but if the file then ends too early or too late, the first
//! line that broke it is at fault.

use super::layout::Element;
use crate::failure::Failure;

/// The first line of the file that is not as it should be, and what is wrong with it.
pub(super) type Irregular = Option<(u64, String)>;

/// Where an entry has its first line break.
#[derive(Clone, Copy)]
struct Break {
    line: u64,
    done: usize,
}

/// Watches the lines of one element.
pub(super) struct Lines<'a> {
    element: &'a Element,
    /// The element before it, if it has words.
    previous: Option<&'a Element>,
    /// How many lines the first entry takes.
    usual: Option<u64>,
    /// How many line breaks the entry has so far.
    breaks: u64,
    /// The first of them.
    first: Option<Break>,
    /// Whether a word of the entry was seen.
    begun: bool,
    irregular: Irregular,
}

impl<'a> Lines<'a> {
    /// At the begin of an element, with what was found in those before.
    pub(super) fn new(element: &'a Element, previous: Option<&'a Element>, irregular: Irregular) -> Self {
        Self { element, previous, usual: None, breaks: 0, first: None, begun: false, irregular }
    }

    /// Takes a word of property `done` of entry `index`; `fresh` if it is the first of its line, and `before` is
    /// the line of the word before.
    ///
    /// # Errors
    /// If the word is on the last line of the element before: an entry has too many or too few words.
    pub(super) fn word(
        &mut self,
        fresh: bool,
        before: u64,
        done: usize,
        index: u64,
        found: impl Fn() -> String,
    ) -> Result<(), Failure> {
        if self.begun {
            if fresh {
                self.breaks += 1;
                self.first = self.first.or(Some(Break { line: before, done }));
            }
            return Ok(());
        }
        if !fresh && index == 0 {
            // The element before has its count of words, but not of lines.
            let element = self.previous.unwrap_or(self.element);
            let what = format!("expected {}, found more: {}", properties(element), found());
            return Err(self.irregular().unwrap_or_else(|| Failure::at_line(before, what)));
        }
        if !fresh {
            let short = self.first.map(|first| (first.line, self.too_few(first.done)));
            let long = || (before, format!("expected {}, found more: {}", properties(self.element), found()));
            let fault = short.unwrap_or_else(long);
            self.irregular.get_or_insert(fault);
        }
        (self.begun, self.breaks, self.first) = (true, 0, None);
        Ok(())
    }

    /// The entry is complete.
    pub(super) fn end_entry(&mut self) {
        self.begun = false;
        let usual = *self.usual.get_or_insert(self.breaks);
        if self.breaks > usual
            && let Some(first) = self.first
        {
            let what = self.too_few(first.done);
            self.irregular.get_or_insert((first.line, what));
        }
    }

    /// What was found in this element and those before.
    pub(super) fn into_irregular(self) -> Irregular {
        self.irregular
    }

    /// The same as an error.
    pub(super) fn irregular(&self) -> Option<Failure> {
        self.irregular.as_ref().map(|(line, what)| Failure::at_line(*line, what))
    }

    /// The file ends at line `last`, before property `done` of entry `index`.
    pub(super) fn file_ends(&self, last: u64, done: usize, index: u64) -> Failure {
        let Element { name, count, .. } = self.element;
        let ends = format!("the file ends after {index} entries of element {name}; expected {count}");
        let suspect = self.irregular.clone().or_else(|| {
            // Of two entries nobody can say what is usual.
            let first = self.first.filter(|_| index <= 1)?;
            Some((first.line, self.too_few(first.done)))
        });
        match suspect {
            Some((line, what)) => Failure::at_line(line, format!("{what}; {ends}")),
            None if self.begun => Failure::at_line(last, format!("{}; {ends}", self.too_few(done))),
            None => Failure::at_line(last, ends),
        }
    }

    fn too_few(&self, done: usize) -> String {
        format!("expected {}, found {done}", properties(self.element))
    }
}

/// What an entry has.
fn properties(element: &Element) -> String {
    let names: Vec<&str> =
        element.properties.iter().map(|property| property.name.as_str()).take(32).collect();
    format!("{} properties ({})", element.properties.len(), names.join(" "))
}
