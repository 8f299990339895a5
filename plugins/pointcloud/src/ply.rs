//! PLY files in and out.
//!
//! The header is the business of `ply-rs-bw`. The vertices are not: it would keep each of them as a map
//! from names to values, and can't say at which byte a binary file is broken. They are read in one pass
//! into the columns of a [`Cloud`], and what the header claims is never believed before it was read.

mod ascii;
mod binary;
mod header;
mod source;
#[cfg(test)]
mod tests;
mod write;

use std::io::BufRead;

use ply_rs_bw::ply::{ElementDef, Encoding, PropertyType};

use crate::cloud::{Cloud, Column, Role, Values};
use crate::failure::Failure;
use crate::progress::Progress;
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
    let (header, vertex_line) = header::read(&mut source)?;
    let mut cloud = Cloud::default();
    for element in header.elements.values() {
        let vertex = element.name == "vertex";
        if vertex {
            cloud.columns = columns(element);
        }
        let columns = if vertex { Some(&mut cloud.columns[..]) } else { None };
        match header.encoding {
            Encoding::Ascii => ascii::read(&mut source, element, columns, progress)?,
            Encoding::BinaryLittleEndian => binary::read(&mut source, element, columns, false, progress)?,
            Encoding::BinaryBigEndian => binary::read(&mut source, element, columns, true, progress)?,
        }
    }
    match header.encoding {
        Encoding::Ascii => ascii::expect_end(&mut source)?,
        _ => binary::expect_end(&mut source)?,
    }
    if cloud.is_empty() {
        return Err(Failure::at_line(vertex_line, "the scan has no vertices; expected at least one"));
    }
    Ok(cloud)
}

/// The columns for the scalar properties of an element, empty.
fn columns(element: &ElementDef) -> Vec<Column> {
    let scalars = element.properties.values().filter_map(|property| match &property.data_type {
        PropertyType::Scalar(kind) => Some((property.name.clone(), kind)),
        PropertyType::List(..) => None,
    });
    scalars.map(|(name, kind)| Column { role: Role::of(&name), name, values: Values::new(kind) }).collect()
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
