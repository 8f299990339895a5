//! The node in plain text, in 80 columns: how it is, its servers, what it has, what it did in the last hour.

use super::wrap::{indented, named};
use super::{runners, tasks};
use crate::amounts::{bytes, short_span, span};
use crate::overview::{Capacity, Folder, Minute, Overview, Server, Totals};

/// How many ways to fail are shown.
const FAILURES: usize = 5;

pub(super) fn text(node: &Overview) -> String {
    let mut out = String::new();
    indented(&mut out, 0, &format!("{}  {} on {}", node.state_word(), node.who, node.host));
    for missing in &node.missing {
        indented(&mut out, 2, missing);
    }
    for warning in &node.warnings {
        indented(&mut out, 2, &format!("warning: {warning}"));
    }
    out.push('\n');
    write_node(&mut out, node);
    write_servers(&mut out, node);
    write_capacity(&mut out, &node.capacity);
    write_work(&mut out, node);
    runners::write(&mut out, node);
    tasks::write(&mut out, node);
    out
}

fn write_node(out: &mut String, node: &Overview) {
    let commit = match &*node.commit {
        "" | "unknown" => String::new(),
        commit => format!(" (commit {})", commit.chars().take(12).collect::<String>()),
    };
    let threads = node.capacity.threads.map_or_else(String::new, |threads| format!(", {threads} threads"));
    let up = span(node.uptime_secs);
    named(
        out,
        "node",
        &format!("version {}{commit}, process {}, up for {up}{threads}", node.version, node.pid),
    );
    // Beside the default, which is told by `config check`.
    let settings = node.settings.iter().map(|[name, value, _]| format!("{name}={value}"));
    let settings: Vec<String> = settings.collect();
    if !settings.is_empty() {
        named(out, "settings", &settings.join(", "));
    }
}

fn write_servers(out: &mut String, node: &Overview) {
    let (dds, dms) = (&node.dds, &node.dms);
    let token =
        dds.token_valid_secs.map_or_else(|| "none".to_owned(), |left| format!("valid for {}", span(left)));
    let error = |error: &str| format!("; {error}");
    let why: String = dds.error.iter().chain(&dds.token_error).map(|text| error(text)).collect();
    named(out, "DDS", &format!("{}: {}, token {token}{why}", dds.through, dds.registration));
    let answered = dms
        .answered_secs_ago
        .map_or_else(|| "has not answered yet".to_owned(), |ago| format!("answered {} ago", span(ago)));
    let poll = Some(dms.last_poll_line()).filter(|poll| !poll.is_empty());
    let poll = poll.map_or_else(String::new, |poll| format!(", {poll}"));
    let why = dms.error.as_deref().map(error).unwrap_or_default();
    named(out, "DMS", &format!("{}: {answered}{poll}{why}", dms.through));
    // Those that are well are not worth a line.
    for server in node.servers.iter().filter(|server| server.failed > 0) {
        let Server { through, requests, failed, .. } = server;
        let error = server.error.as_deref().unwrap_or_default();
        let ago = span(server.failed_secs_ago.unwrap_or_default());
        let text =
            format!("{through}: {failed} of {requests} failed in five minutes, the last {ago} ago: {error}");
        named(out, "requests", &text);
    }
    for server in &node.servers {
        if let Some(off) = server.clock_off() {
            named(out, "clock", &format!("{}: {off}", server.through));
        }
    }
}

fn write_capacity(out: &mut String, capacity: &Capacity) {
    let low = |low: bool| if low { " (low)" } else { "" };
    let files = capacity.descriptors_free.map_or_else(|| "any number of".to_owned(), |free| free.to_string());
    let text = format!(
        "{} of {} tasks, {files} more files can be opened{}",
        capacity.running,
        capacity.slots,
        low(capacity.descriptors_low)
    );
    named(out, "capacity", &text);
    let available = capacity.memory_available.map_or_else(
        || "what is available is unknown".to_owned(),
        |free| format!("{} of memory available{}", bytes(free), low(capacity.memory_low)),
    );
    let text = format!(
        "{} of {} promised, {} used, {available}",
        bytes(capacity.memory_promised),
        bytes(capacity.memory_budget),
        bytes(capacity.memory_used)
    );
    named(out, "memory", &text);
    for Folder { variable, free_bytes, free_inodes, low: is_low } in &capacity.folders {
        let free = free_bytes.map_or_else(
            || "its file system does not answer".to_owned(),
            |free| format!("{} free", bytes(free)),
        );
        let inodes = free_inodes.map_or_else(String::new, |free| format!(", {free} inodes"));
        named(out, variable, &format!("{free}{inodes}{}", low(*is_low)));
    }
}

fn write_work(out: &mut String, node: &Overview) {
    let Totals { leased, completed, failed, cancelled, lost } = node.totals;
    let text = format!(
        "{leased} leased, {completed} completed, {failed} failed, {cancelled} cancelled, {lost} lost"
    );
    named(out, "totals", &text);
    let sum = |of: fn(&Minute) -> u64| node.hour.iter().map(of).sum::<u64>();
    let most = |of: fn(&Minute) -> u64| node.hour.iter().map(of).max();
    let times = most(|minute| minute.median_ms).zip(most(|minute| minute.p95_ms));
    let times = times.map_or_else(String::new, |(median, slow)| {
        format!("; median at most {}, 95 % {}", short_span(median), short_span(slow))
    });
    let text = format!(
        "{} completed, {} failed, {} lost{times}",
        sum(|minute| minute.completed),
        sum(|minute| minute.failed),
        sum(|minute| minute.lost)
    );
    named(out, "last hour", &text);
    let failures = node.hour_failures.iter().take(FAILURES);
    let failures: Vec<String> = failures
        .map(|one| format!("{} {} (fault of the {})", one.count, one.kind.replace('_', " "), one.blame))
        .collect();
    if !failures.is_empty() {
        named(out, "failures", &failures.join(", "));
    }
}

#[cfg(test)]
mod tests {
    use super::text;
    use crate::testing::{golden, sample, svg};

    #[test]
    fn a_node_is_told_in_plain_text() {
        for (name, node) in sample::all() {
            let told = text(&node);
            assert!(told.lines().all(posemesh_text::is_plain), "{told:?}");
            golden::assert_same(&format!("tests/golden/status/{name}.txt"), &told);
        }
    }

    #[test]
    fn the_pictures_in_the_documents_are_current() {
        golden::assert_same("docs/screenshots/status.svg", &svg::of_text(&text(&sample::ready()), 120));
    }
}
