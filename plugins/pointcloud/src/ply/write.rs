//! A cloud as a binary PLY file.

use std::io::Write;

use super::binary::width;
use super::layout::type_name;
use crate::cloud::Cloud;
use crate::failure::Failure;
use crate::progress::Progress;

/// How many bytes [`fn@write`] writes.
pub fn size(cloud: &Cloud) -> u64 {
    let stride: usize = cloud.columns.iter().map(|column| width(column.values.kind())).sum();
    header(cloud).len() as u64 + stride as u64 * cloud.len() as u64
}

/// Writes in little endian, with the properties and types that the cloud has, and the scan's comments.
///
/// # Errors
/// What writing and [`Progress`] fail with.
pub fn write(cloud: &Cloud, out: &mut impl Write, progress: &mut Progress<'_>) -> Result<(), Failure> {
    out.write_all(&header(cloud))?;
    for index in 0..cloud.len() {
        for column in &cloud.columns {
            column.values.write_le(index, out)?;
        }
        progress.tick(index, cloud.len())?;
    }
    Ok(())
}

fn header(cloud: &Cloud) -> Vec<u8> {
    let mut header = b"ply\nformat binary_little_endian 1.0\n".to_vec();
    for remark in &cloud.remarks {
        header.extend_from_slice(remark);
        header.push(b'\n');
    }
    header.extend_from_slice(format!("element vertex {}\n", cloud.len()).as_bytes());
    for column in &cloud.columns {
        let kind = type_name(column.values.kind());
        header.extend_from_slice(format!("property {kind} {}\n", column.name).as_bytes());
    }
    header.extend_from_slice(b"end_header\n");
    header
}
