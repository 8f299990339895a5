//! What the threads of another process are doing, as the kernel tells it.

use std::fs;

/// A line for each thread of a process: its name, its state, the ticks that it computed for, and what it waits for. A test
/// runs on a thread that has the beginning of its name. Empty where the kernel tells nothing.
pub(super) fn of(process: u32) -> String {
    let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else { return String::new() };
    let lines = threads.flatten().map(|thread| {
        let read = |name: &str| fs::read_to_string(thread.path().join(name)).unwrap_or_default();
        let stat = read("stat");
        // After the name, which may have anything in it: state, then, as the 12th and 13th, the ticks.
        let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let field = |number: usize| fields.get(number).copied().unwrap_or("?");
        format!(
            "  {:<16} {} user {} system {} in {} system call {}\n",
            read("comm").trim_end(),
            field(0),
            field(11),
            field(12),
            read("wchan"),
            read("syscall").split(' ').next().unwrap_or_default().trim_end(),
        )
    });
    lines.collect()
}
