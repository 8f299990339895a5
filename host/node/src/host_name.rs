//! What the machine is called.

use posemesh_text::one_line;

/// The longest name of a machine that is shown, in bytes.
const MAX_HOST: usize = 255;

/// The machine's name.
pub(crate) fn host_name() -> String {
    // A file of the kernel's: it does not block.
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    one_line(name.trim(), MAX_HOST)
}
