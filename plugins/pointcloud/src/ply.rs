//! PLY files in and out.
//!
//! They are read in one pass into the columns of a [`Cloud`], and what the header claims is never believed
//! before it was read. We forgive what Open3D, MeshLab and CloudCompare forgive, where it has one meaning.

mod ascii;
mod binary;
#[cfg(test)]
mod exporters;
mod gzip;
mod header;
mod layout;
mod lines;
mod number;
mod source;
#[cfg(test)]
mod tests;
mod write;

use std::io::BufRead;

use crate::cloud::{Cloud, Column, Role, Values};
use crate::failure::Failure;
use crate::progress::Progress;
use layout::{Element, Encoding, Kind};
use lines::Lines;
use source::Source;

pub use write::{size, write};

/// A coordinate beyond this is an error of the scanner, and its square would soon be infinite.
const FARTHEST: f64 = 1e100;
/// Memory for points is asked for in blocks of this many, as they come.
const BLOCK: u64 = 4096;

/// Reads the vertices of a PLY file: ascii or binary, plain or gzip-compressed. List properties and
/// other elements are skipped, but have to be there.
///
/// # Errors
/// [`Failure::InvalidInput`] with the line or byte if the file is broken or has no vertex, and what
/// reading and [`Progress`] fail with.
pub fn read(input: impl BufRead, progress: &mut Progress<'_>) -> Result<Cloud, Failure> {
    let mut source = Source::open(input)?;
    let header = header::read(&mut source)?;
    let mut cloud = Cloud { remarks: header.remarks, ..Cloud::default() };
    let (mut vertex_line, mut irregular, mut previous) = (0, None, None);
    for element in &header.elements {
        let vertex = element.is_vertex();
        if vertex {
            vertex_line = element.line;
            cloud.columns = columns(element);
        }
        let columns = if vertex { Some(&mut cloud.columns[..]) } else { None };
        match header.encoding {
            Encoding::Ascii => {
                let lines = Lines::new(element, previous, irregular);
                irregular = ascii::read(&mut source, lines, element, columns, progress)?;
                previous = if element.count > 0 { Some(element) } else { previous };
            }
            Encoding::LittleEndian => binary::read(&mut source, element, columns, false, progress)?,
            Encoding::BigEndian => binary::read(&mut source, element, columns, true, progress)?,
        }
    }
    if cloud.is_empty() {
        return Err(Failure::at_line(vertex_line, "the scan has no vertices; expected at least one"));
    }
    if let (Encoding::Ascii, Some(last)) = (header.encoding, header.elements.last()) {
        ascii::expect_end(&mut source, last, irregular)?;
    }
    source.finish(progress)?;
    cloud.judge_colours();
    Ok(cloud)
}

/// The columns for the scalar properties of an element, empty.
fn columns(element: &Element) -> Vec<Column> {
    let scalars = element.properties.iter().filter_map(|property| match property.kind {
        Kind::Scalar(kind) => Some((property.name.as_str(), kind)),
        Kind::List(..) => None,
    });
    let (names, kinds): (Vec<_>, Vec<_>) = scalars.unzip();
    let roles = Role::of_all(&names);
    let column = |((name, role), kind): ((&&str, _), _)| Column {
        name: (*name).to_owned(),
        role,
        values: Values::new(kind),
    };
    names.iter().zip(roles).zip(kinds).map(column).collect()
}

/// Makes room for the next vertices when a block begins.
fn make_room(columns: &mut [Column], index: u64, count: u64) -> Result<(), Failure> {
    if index.is_multiple_of(BLOCK) {
        for column in columns {
            column.values.reserve((count - index).min(BLOCK) as usize)?;
        }
    }
    Ok(())
}

/// What is wrong with a coordinate, if something is.
fn wrong_position(column: &Column, value: f64, index: u64) -> Option<String> {
    let fine = !matches!(column.role, Role::Position(_)) || value.abs() <= FARTHEST;
    (!fine).then(|| {
        format!("{} of vertex {index} (counted from 0) is {value}; expected a finite number", column.name)
    })
}
