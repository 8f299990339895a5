//! The lines of tasks: two for each, so that its id can be copied and the rest has room.

use posemesh_text::one_line;

use super::wrap::indented;
use crate::amounts::{bytes, short_span};
use crate::overview::{Overview, Task};

/// How many tasks that have ended are shown.
const ENDED: usize = 8;
/// How much of a runner's name and of a reason is shown, in bytes.
const NAME_BYTES: usize = 60;
const REASON_BYTES: usize = 200;
/// Columns of a progress bar.
const BAR: usize = 14;

pub(super) fn write(out: &mut String, node: &Overview) {
    out.push_str("\ntasks now\n");
    let now: Vec<&Task> = node.tasks.iter().filter(|task| task.is_worked_on()).collect();
    now.iter().for_each(|task| write_task(out, task));
    if now.is_empty() {
        indented(out, 2, "none");
    }
    if node.tasks_left_out > 0 {
        indented(out, 2, &format!("and {} more", node.tasks_left_out));
    }
    out.push_str("\nlast tasks\n");
    node.tasks.iter().filter(|task| !task.is_worked_on()).take(ENDED).for_each(|task| write_task(out, task));
}

fn write_task(out: &mut String, task: &Task) {
    let mut line = format!("{}  {:<9} {:>7}", task.id, task.state, short_span(task.took_ms));
    if let Some(part) = task.part_done() {
        let full = (part * BAR as f64).round() as usize;
        line += &format!(" [{:<BAR$}] {:>3.0}%", "=".repeat(full), part * 100.0);
    }
    // As it is: a bar has spaces in it.
    out.push_str(&format!("  {line}\n"));
    let mut about = one_line(task.runner_or_capability(), NAME_BYTES);
    if let Some(stage) = task.stage() {
        about += &format!(", {stage}");
    }
    if let Some((used, of)) = task.limit("memory_bytes").filter(|_| task.is_worked_on()) {
        about += &format!(", {} of {}", bytes(used), bytes(of));
    }
    if let Some(left) = task.lease_ends_in_ms {
        about += &format!(", lease ends in {}", short_span(left));
    }
    if let Some(reason) = &task.reason {
        about += &format!(": {}", one_line(&**reason, REASON_BYTES));
    }
    indented(out, 4, &about);
}
