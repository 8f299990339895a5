//! A cloud as a binary PLY file.

use std::io::{self, Write};

use ply_rs_bw::ply::{Addable, DefaultElement, ElementDef, Encoding, Header, PropertyDef, PropertyType};
use ply_rs_bw::writer::Writer;

use super::binary::width;
use crate::cloud::Cloud;
use crate::failure::Failure;
use crate::progress::Progress;

/// How many bytes [`fn@write`] writes.
pub fn size(cloud: &Cloud) -> io::Result<u64> {
    let stride: usize = cloud.columns.iter().map(|column| width(&column.values.kind())).sum();
    let header = Writer::<DefaultElement>::new().write_header(&mut io::sink(), &header(cloud))?;
    Ok(header as u64 + stride as u64 * cloud.len() as u64)
}

/// Writes in little endian, with the properties and types that the cloud has.
///
/// # Errors
/// What writing and [`Progress`] fail with.
pub fn write(cloud: &Cloud, out: &mut impl Write, progress: &mut Progress<'_>) -> Result<(), Failure> {
    Writer::<DefaultElement>::new().write_header(out, &header(cloud))?;
    for index in 0..cloud.len() {
        for column in &cloud.columns {
            column.values.write_le(index, out)?;
        }
        progress.tick(index, cloud.len())?;
    }
    Ok(())
}

fn header(cloud: &Cloud) -> Header {
    let mut vertex = ElementDef::new("vertex".into());
    vertex.count = cloud.len();
    for column in &cloud.columns {
        vertex
            .properties
            .add(PropertyDef::new(column.name.clone(), PropertyType::Scalar(column.values.kind())));
    }
    let mut header = Header::new();
    header.encoding = Encoding::BinaryLittleEndian;
    header.elements.add(vertex);
    header
}
