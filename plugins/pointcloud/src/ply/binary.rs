//! Elements as bytes.

use super::layout::{Element, Kind, Property};
use super::source::Source;
use super::{make_room, wrong_position};
use crate::cloud::{Column, ScalarType};
use crate::failure::Failure;
use crate::progress::Progress;

/// Reads all entries of an element into `columns`, or skips them if there are none.
pub(super) fn read(
    source: &mut Source<'_>,
    element: &Element,
    mut columns: Option<&mut [Column]>,
    big_endian: bool,
    progress: &mut Progress<'_>,
) -> Result<(), Failure> {
    if columns.is_none()
        && let Some(stride) = stride(element)
    {
        let bytes = stride.saturating_mul(element.count);
        return match source.skip(bytes)? {
            true => Ok(()),
            false => Err(ends(
                source,
                &format!("{} entries of element {} ({bytes} bytes)", element.count, element.name),
            )),
        };
    }
    for index in 0..element.count {
        let mut sinks = columns.as_deref_mut().unwrap_or_default();
        make_room(sinks, index, element.count)?;
        for property in element.properties.iter() {
            let place = Place { element, property, index };
            match property.kind {
                Kind::List(length, item) => skip_list(source, length, item, big_endian, &place)?,
                Kind::Scalar(kind) => {
                    let offset = source.offset;
                    let value = scalar(source, kind, big_endian, &place)?;
                    if let Some((column, rest)) = std::mem::take(&mut sinks).split_first_mut() {
                        if let Some(what) = wrong_position(column, value, index) {
                            return Err(Failure::at_byte(offset, what));
                        }
                        column.values.push(value);
                        sinks = rest;
                    }
                }
            }
        }
        progress.tick(index as usize, element.count as usize)?;
    }
    Ok(())
}

/// What is being read, for errors.
struct Place<'a> {
    element: &'a Element,
    property: &'a Property,
    index: u64,
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { element, property, index } = self;
        write!(
            f,
            "property {} of {} {index} (counted from 0) of {}",
            property.name, element.name, element.count
        )
    }
}

fn ends(source: &Source<'_>, expected: &str) -> Failure {
    Failure::at_byte(source.offset, format!("the file ends; expected {expected}"))
}

/// The size of an entry, if all have the same.
fn stride(element: &Element) -> Option<u64> {
    let sizes = element.properties.iter().map(|property| match property.kind {
        Kind::Scalar(kind) => Some(width(kind) as u64),
        Kind::List(..) => None,
    });
    sizes.sum()
}

fn skip_list(
    source: &mut Source<'_>,
    length: ScalarType,
    item: ScalarType,
    big_endian: bool,
    place: &Place<'_>,
) -> Result<(), Failure> {
    let offset = source.offset;
    let count = scalar(source, length, big_endian, place)?;
    if !(count >= 0.0 && count.fract() == 0.0) {
        return Err(Failure::at_byte(offset, format!("expected a length for {place}, found {count}")));
    }
    match source.skip((count as u64).saturating_mul(width(item) as u64))? {
        true => Ok(()),
        false => Err(ends(source, &format!("{count} items for {place}"))),
    }
}

fn scalar(
    source: &mut Source<'_>,
    kind: ScalarType,
    big_endian: bool,
    place: &Place<'_>,
) -> Result<f64, Failure> {
    /// Reads a number of one type.
    macro_rules! number {
        ($type:ty) => {{
            let mut bytes = [0; size_of::<$type>()];
            if !source.fill(&mut bytes)? {
                return Err(ends(source, &place.to_string()));
            }
            f64::from(if big_endian { <$type>::from_be_bytes(bytes) } else { <$type>::from_le_bytes(bytes) })
        }};
    }
    Ok(match kind {
        ScalarType::Char => number!(i8),
        ScalarType::UChar => number!(u8),
        ScalarType::Short => number!(i16),
        ScalarType::UShort => number!(u16),
        ScalarType::Int => number!(i32),
        ScalarType::UInt => number!(u32),
        ScalarType::Float => number!(f32),
        ScalarType::Double => number!(f64),
    })
}

/// How many bytes a scalar has.
pub(super) fn width(kind: ScalarType) -> usize {
    match kind {
        ScalarType::Char | ScalarType::UChar => 1,
        ScalarType::Short | ScalarType::UShort => 2,
        ScalarType::Int | ScalarType::UInt | ScalarType::Float => 4,
        ScalarType::Double => 8,
    }
}
