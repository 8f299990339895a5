//! What is mounted: file systems that show the kernel's knowledge, and what lies in a folder without being of it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

/// How much of the table of mounts is read, in bytes; a machine with many containers has some hundred KiB.
const MAX_TABLE: u64 = 4 << 20;

/// A mount in a folder.
pub(super) struct Mount {
    pub(super) at: PathBuf,
    /// Whether it shows the kernel's knowledge.
    pub(super) of_the_kernel: bool,
}

/// Whether the file system with this magic number (`statfs(2)`) shows what the kernel knows or does, rather than files.
pub(super) fn is_of_the_kernel(magic: i64) -> bool {
    matches!(
        magic,
        // proc, sysfs, devpts, cgroup, cgroup2, debugfs, tracefs, securityfs, selinuxfs, configfs, bpf, efivarfs, pstore.
        0x9fa0
            | 0x6265_6572
            | 0x1cd1
            | 0x0027_e0eb
            | 0x6367_7270
            | 0x6462_6720
            | 0x7472_6163
            | 0x7363_6673
            | 0xf97c_ff8c
            | 0x6265_6570
            | 0xcafe_4a11
            | 0xde5e_81e4
            | 0x6165_676c
    )
}

fn is_kernel_type(name: &[u8]) -> bool {
    const TYPES: [&[u8]; 14] = [
        b"proc",
        b"sysfs",
        b"devtmpfs",
        b"devpts",
        b"cgroup",
        b"cgroup2",
        b"debugfs",
        b"tracefs",
        b"securityfs",
        b"selinuxfs",
        b"configfs",
        b"bpf",
        b"efivarfs",
        b"pstore",
    ];
    TYPES.contains(&name)
}

/// What is mounted somewhere below an open folder.
///
/// # Errors
/// When it can't be found out.
pub(super) fn mounts_below(folder: BorrowedFd<'_>) -> io::Result<Vec<Mount>> {
    let path = std::fs::read_link(format!("/proc/self/fd/{}", folder.as_raw_fd()))?;
    let mut table = BufReader::new(File::open("/proc/self/mountinfo")?.take(MAX_TABLE));
    let (mut mounts, mut line) = (Vec::new(), Vec::new());
    loop {
        line.clear();
        if table.read_until(b'\n', &mut line)? == 0 {
            return Ok(mounts);
        }
        if let Some(mount) = parse(&line).filter(|mount| mount.at != path && mount.at.starts_with(&path)) {
            mounts.push(mount);
        }
    }
}

/// A line of `/proc/self/mountinfo`: the fifth field is where it is mounted, and after a `-` comes the type.
fn parse(line: &[u8]) -> Option<Mount> {
    let mut fields = line.trim_ascii_end().split(|byte| *byte == b' ');
    let at = unescaped(fields.nth(4)?);
    let mut after = fields.skip_while(|field| *field != b"-");
    let kind = after.nth(1)?;
    Some(Mount { at: PathBuf::from(OsString::from_vec(at)), of_the_kernel: is_kernel_type(kind) })
}

/// Space, tab, line feed and backslash stand as `\ooo`.
fn unescaped(mut text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    while let Some((first, rest)) = text.split_first() {
        let digits = rest.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if *first == b'\\' => {
                plain.push(byte);
                text = rest.get(3..).unwrap_or_default();
            }
            _ => {
                plain.push(*first);
                text = rest;
            }
        }
    }
    plain
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn lines_of_the_table_are_read_with_and_without_optional_fields() {
        let mount =
            parse(b"36 35 98:0 /mnt1 /a\\040b\\134c rw,noatime master:1 - ext3 /dev/root rw\n").unwrap();
        assert_eq!((mount.at.as_path(), mount.of_the_kernel), (Path::new(r"/a b\c"), false));
        let mount = parse(b"22 1 0:21 / /srv/x/proc rw,nosuid - proc proc rw\n").unwrap();
        assert_eq!((mount.at.as_path(), mount.of_the_kernel), (Path::new("/srv/x/proc"), true));
        assert!(parse(b"22 1 0:21").is_none() && parse(b"").is_none());
    }
}
