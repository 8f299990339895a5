//! What a part is called as a file of the sandbox.

use posemesh_runner_api::ports::PartInfo;

/// The longest piece of a name, in characters: a file name has at most 255 bytes, and the rest of the path needs
/// some.
const MAX_PIECE: usize = 100;

/// A name for a part below `/work/inputs`, with `-2`, `-3`... before its type if the plain one is taken: two parts
/// may have the same name, since it is any text of the domain's users.
pub(crate) fn free_name(info: &PartInfo, is_taken: impl Fn(&str) -> bool) -> String {
    let name = sandbox_name(info);
    let (stem, kind) = name.rsplit_once('.').unwrap_or((&name, "part"));
    let mut free = name.clone();
    let mut number = 2;
    while is_taken(&free) {
        free = format!("{stem}-{number}.{kind}");
        number += 1;
    }
    free
}

/// `SCAN/NAME.TYPE` by protocol 6.5.
fn sandbox_name(info: &PartInfo) -> String {
    let scan = scan_of(&info.name).unwrap_or(&info.name);
    format!("{}/{}.{}", sanitise(scan), sanitise(&info.name), sanitise(&info.data_type))
}

/// The first `YYYY-MM-DD_hh-mm-ss` (or with `-` between) in a name.
fn scan_of(name: &str) -> Option<&str> {
    const SHAPE: &[u8] = b"dddd-dd-dd_dd-dd-dd";
    let fits = |window: &[u8]| {
        window.iter().zip(SHAPE).all(|(byte, shape)| match shape {
            b'd' => byte.is_ascii_digit(),
            b'_' => *byte == b'_' || *byte == b'-',
            other => byte == other,
        })
    };
    let start = name.as_bytes().windows(SHAPE.len()).position(fits)?;
    name.get(start..start + SHAPE.len())
}

fn sanitise(text: &str) -> String {
    // Only ASCII is kept, so characters are bytes and no dot or slash can make a path lead elsewhere.
    let keep = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
    let clean: String = text.chars().take(MAX_PIECE).map(keep).collect();
    if clean.is_empty() { "part".to_owned() } else { clean }
}
