//! Fuzzes what reads the bytes of strangers: builds the targets of host/domain-data/fuzz and runs them.
//!
//! Built by cargo-fuzz, run without it: it would make folders in the repository. All that a run writes is
//! below the target directory, so a corpus grows from run to run and is gone with `cargo clean`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::Cmd;
use crate::project::{Project, executable};
use crate::tool;

/// The version of cargo-fuzz: its flags for the compiler are its own business.
const CARGO_FUZZ: &str = "0.13.2";

/// The targets, in the order of their source: how a download is read, its headers, what is asked for.
pub const TARGETS: [&str; 3] = ["multipart", "disposition", "cid"];

/// Bytes of an input. Beyond every limit of the parsers as the targets set them.
const MAX_INPUT_BYTES: usize = 16 << 10;

/// Memory of a fuzzer; AddressSanitizer holds back 256 MB of what was freed.
const MAX_MEMORY_MB: usize = 1024;

/// Seconds that one input may take.
const MAX_INPUT_SECONDS: u64 = 10;

/// How long a fuzzer may take longer than it was told to: for reading its corpus.
const GRACE: Duration = Duration::from_secs(300);

/// Runs `targets`, each for `seconds`, and prints what came of it.
///
/// # Errors
/// If something can't be built, or an input was found for which something does not hold.
pub fn fuzz(project: &Project, targets: &[String], seconds: u64) -> Result<()> {
    let targets: Vec<&str> =
        if targets.is_empty() { TARGETS.to_vec() } else { targets.iter().map(String::as_str).collect() };
    let built = build(project)?;
    let mut failed = Vec::new();
    let mut table = vec![
        "| target | executions | per second | edges | features | corpus | peak memory | crashes |".to_owned(),
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |".to_owned(),
    ];
    for target in targets {
        let run = Run::new(project, target)?;
        let outcome = run.run(project, &built.join(executable(target)), seconds);
        let crashes = run.crashes()?;
        table.push(Figures::read(&run.said()).row(target, crashes.len()));
        if let Err(error) = outcome {
            eprintln!("{target}: {error:#}\n  what it said: {}", project.short(&run.log));
            for crash in crashes {
                eprintln!("  an input that does it: {}", project.short(&crash));
            }
            failed.push(target);
        }
    }
    println!("{}", table.join("\n"));
    if failed.is_empty() {
        return Ok(());
    }
    bail!(
        "found by {}\n  what helps: copy the input into host/domain-data/fuzz/seeds/TARGET; then `cargo test -p \
         posemesh-domain-data --test seeds` fails in the same way",
        failed.join(", ")
    )
}

/// Builds all targets and returns the folder that they are in.
fn build(project: &Project) -> Result<PathBuf> {
    let cargo_fuzz = tool::installed(project, "cargo-fuzz", CARGO_FUZZ, &[])?;
    match build_with(project, &cargo_fuzz, "address") {
        Ok(built) => Ok(built),
        Err(error) => {
            eprintln!("AddressSanitizer does not work here, so it goes without: {error:#}");
            build_with(project, &cargo_fuzz, "none")
        }
    }
}

fn build_with(project: &Project, cargo_fuzz: &Path, sanitizer: &str) -> Result<PathBuf> {
    let target_dir = project.fuzz().join(format!("build-{sanitizer}"));
    Cmd::new(cargo_fuzz)
        .dir(&project.root)
        .args([
            "fuzz",
            "build",
            "--fuzz-dir",
            "host/domain-data/fuzz",
            "--sanitizer",
            sanitizer,
            "--target-dir",
        ])
        .arg(&target_dir)
        // Coverage is a matter of unstable flags; with this a stable compiler takes them.
        .env("RUSTC_BOOTSTRAP", "1")
        .env_remove("CARGO_TARGET_DIR")
        .cure("libFuzzer is built from source and needs a C++ compiler")
        .run()?;
    let built = target_dir.join(host()?).join("release");
    for target in TARGETS {
        // The sanitizer's set-up fails where address space is rationed, for one.
        let program = built.join(executable(target));
        if !Cmd::new(&program).arg("-help=1").works() {
            bail!("{} was built, and can't be started", project.short(&program));
        }
    }
    Ok(built)
}

/// The platform that the compiler builds for, as it calls it: cargo-fuzz always names it.
fn host() -> Result<String> {
    let said = Cmd::new("rustc").arg("-vV").output()?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("`rustc -vV` does not name its host")?.to_owned())
}

/// The places of one target's run.
struct Run {
    target: String,
    /// In the repository, and only read.
    seeds: PathBuf,
    dictionary: PathBuf,
    /// What was found to lead somewhere new, in this run and earlier ones.
    corpus: PathBuf,
    /// The inputs for which something did not hold, in this run.
    crashes: PathBuf,
    /// What the fuzzer says.
    log: PathBuf,
}

impl Run {
    fn new(project: &Project, target: &str) -> Result<Self> {
        let (source, here) = (project.root.join("host/domain-data/fuzz"), project.fuzz().join(target));
        let run = Self {
            target: target.to_owned(),
            seeds: source.join("seeds").join(target),
            dictionary: source.join("dictionaries").join(format!("{target}.dict")),
            corpus: here.join("corpus"),
            crashes: here.join("crashes"),
            log: here.join("log"),
        };
        if run.crashes.exists() {
            fs::remove_dir_all(&run.crashes).context("take away the crashes of an earlier run")?;
        }
        for folder in [&run.corpus, &run.crashes] {
            fs::create_dir_all(folder).with_context(|| format!("make {}", folder.display()))?;
        }
        Ok(run)
    }

    fn run(&self, project: &Project, program: &Path, seconds: u64) -> Result<()> {
        let log = File::create(&self.log).with_context(|| format!("write {}", self.log.display()))?;
        let name = &self.target;
        eprintln!("fuzzing {name} for {seconds} s; it talks to {}", project.short(&self.log));
        Cmd::new(program)
            .arg(&self.corpus)
            .arg(&self.seeds)
            .arg(format!("-dict={}", self.dictionary.display()))
            .arg(format!("-artifact_prefix={}{}", self.crashes.display(), std::path::MAIN_SEPARATOR))
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-max_len={MAX_INPUT_BYTES}"))
            .arg(format!("-rss_limit_mb={MAX_MEMORY_MB}"))
            .arg(format!("-timeout={MAX_INPUT_SECONDS}"))
            .arg("-print_final_stats=1")
            .limit(Duration::from_secs(seconds) + GRACE)
            .stderr(log)
            .run()
    }

    fn said(&self) -> String {
        fs::read(&self.log).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default()
    }

    fn crashes(&self) -> Result<Vec<PathBuf>> {
        let entries = fs::read_dir(&self.crashes).context("look for crashes")?;
        entries.map(|entry| Ok(entry?.path())).collect()
    }
}

/// What libFuzzer says of itself at the end.
#[derive(Debug, Default, PartialEq, Eq)]
struct Figures {
    executions: String,
    per_second: String,
    edges: String,
    features: String,
    corpus: String,
    memory_mb: String,
}

impl Figures {
    /// Reads a log; what isn't in it stays empty.
    fn read(log: &str) -> Self {
        let mut figures = Self::default();
        for line in log.lines() {
            let mut words = line.split_whitespace();
            while let Some(word) = words.next() {
                let field = match word {
                    "cov:" => &mut figures.edges,
                    "ft:" => &mut figures.features,
                    "corp:" => &mut figures.corpus,
                    "stat::number_of_executed_units:" => &mut figures.executions,
                    "stat::average_exec_per_sec:" => &mut figures.per_second,
                    "stat::peak_rss_mb:" => &mut figures.memory_mb,
                    _ => continue,
                };
                words.next().unwrap_or_default().clone_into(field);
            }
        }
        figures
    }

    fn row(&self, target: &str, crashes: usize) -> String {
        let Self { executions, per_second, edges, features, corpus, memory_mb } = self;
        format!(
            "| `{target}` | {executions} | {per_second} | {edges} | {features} | {corpus} | {memory_mb} MB | \
             {crashes} |"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_the_last_that_the_fuzzer_told() {
        let log = "#2\tINITED cov: 10 ft: 11 corp: 1/1b exec/s: 0 rss: 46Mb\n\
            #9\tNEW    cov: 1190 ft: 3473 corp: 489/43Kb lim: 326 exec/s: 1281 rss: 460Mb L: 8/326 MS: 1 X-\n\
            ###### Recommended dictionary. ######\n\
            Done 24764 runs in 21 second(s)\n\
            stat::number_of_executed_units: 24764\n\
            stat::average_exec_per_sec:     1179\n\
            stat::peak_rss_mb:              467\n";
        let want = "| `cid` | 24764 | 1179 | 1190 | 3473 | 489/43Kb | 467 MB | 0 |";
        assert_eq!(Figures::read(log).row("cid", 0), want);
    }

    #[test]
    fn a_log_without_figures_has_none() {
        assert_eq!(Figures::read("cov:\nno such thing"), Figures::default());
    }
}
