//! `fuzz`: builds the fuzz targets, of the parsers for domain data and of the plugin host, and runs them.
//!
//! cargo-fuzz builds the targets but does not run them, because it would create folders in the repository.
//! Everything that a run writes is below the target directory: a corpus grows from run to run and is gone
//! after `cargo clean`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::Cmd;
use crate::project::{FUZZ, Project, executable};
use crate::tool;

/// The version of cargo-fuzz, which decides on the compiler's flags.
const CARGO_FUZZ: &str = "0.13.2";

/// The targets: the body of a download, its headers, a CID; a component, one that wasm-smith makes, `NAME.toml`,
/// and the frames of a sandbox process.
pub(crate) const TARGETS: [&str; 7] =
    ["multipart", "disposition", "cid", "component", "smith", "policy", "frames"];

/// How many of them are in each folder of [`FUZZ`], in this order.
const IN_FOLDERS: [usize; 2] = [3, 4];

/// Largest input, in bytes: beyond every limit that the targets set for the parsers.
const MAX_INPUT_BYTES: usize = 16 << 10;

/// Memory limit of a fuzzer, in MB. AddressSanitizer alone keeps 256 MB of freed memory, and a guest may have some.
const MAX_MEMORY_MB: usize = 2048;

/// Time limit for one input, in seconds.
const MAX_INPUT_SECONDS: u64 = 10;

/// Time that a fuzzer gets beyond the time to fuzz: for reading its corpus.
const GRACE: Duration = Duration::from_secs(300);

/// Runs `targets`, each for `seconds`, and prints a table of results.
///
/// # Errors
/// If a target can't be built, or an input was found that makes one fail.
pub(crate) fn fuzz(project: &Project, targets: &[String], seconds: u64) -> Result<()> {
    let targets: Vec<&str> =
        if targets.is_empty() { TARGETS.to_vec() } else { targets.iter().map(String::as_str).collect() };
    let mut built = Vec::new();
    for (folder, theirs) in folders() {
        if targets.iter().any(|target| theirs.contains(target)) {
            built.push((folder, theirs, build(project, folder, theirs)?));
        }
    }
    let mut failed = Vec::new();
    let mut table = vec![
        "| target | executions | per second | edges | features | corpus | peak memory | crashes |".to_owned(),
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |".to_owned(),
    ];
    for target in targets {
        let place = built.iter().find(|(_, theirs, _)| theirs.contains(&target));
        let (folder, _, programs) = place.with_context(|| format!("there is no target {target}"))?;
        let run = Run::new(project, folder, target)?;
        let outcome = run.run(project, &programs.join(executable(target)), seconds);
        let crashes = run.crashes()?;
        table.push(Figures::read(&run.log_text()).row(target, crashes.len()));
        if let Err(error) = outcome {
            eprintln!("{target}: {error:#}\n  its log: {}", project.short(&run.log));
            for crash in crashes {
                eprintln!("  an input that makes it fail: {}", project.short(&crash));
            }
            failed.push(target);
        }
    }
    println!("{}", table.join("\n"));
    if failed.is_empty() {
        return Ok(());
    }
    bail!(
        "found by {}\n  what helps: copy the input into seeds/TARGET of {} (of `smith`, the component into \
         seeds/component); then the test of the seeds, in the folder above, fails in the same way",
        failed.join(", "),
        FUZZ.join(" or "),
    )
}

/// The folders with their targets.
fn folders() -> Vec<(&'static str, &'static [&'static str])> {
    let mut rest: &'static [&'static str] = &TARGETS;
    FUZZ.into_iter()
        .zip(IN_FOLDERS)
        .filter_map(|(folder, count)| {
            let (theirs, others) = rest.split_at_checked(count)?;
            rest = others;
            Some((folder, theirs))
        })
        .collect()
}

/// Builds all targets of a folder and returns the folder with the programs.
fn build(project: &Project, folder: &str, targets: &[&str]) -> Result<PathBuf> {
    let cargo_fuzz = tool::installed(project, "cargo-fuzz", CARGO_FUZZ, &[])?;
    let with = |sanitizer| build_with(project, &cargo_fuzz, folder, targets, sanitizer);
    match with("address") {
        Ok(built) => Ok(built),
        Err(error) => {
            eprintln!("AddressSanitizer does not work here, so the targets are built without it: {error:#}");
            with("none")
        }
    }
}

fn build_with(
    project: &Project,
    cargo_fuzz: &Path,
    folder: &str,
    targets: &[&str],
    sanitizer: &str,
) -> Result<PathBuf> {
    let name = folder.trim_start_matches("host/").trim_end_matches("/fuzz");
    let target_dir = project.fuzz().join(format!("build-{name}-{sanitizer}"));
    Cmd::new(cargo_fuzz)
        .dir(&project.root)
        .args(["fuzz", "build", "--fuzz-dir", folder, "--sanitizer", sanitizer, "--target-dir"])
        .arg(&target_dir)
        // Coverage needs unstable flags; with this variable a stable compiler accepts them.
        .env("RUSTC_BOOTSTRAP", "1")
        .env_remove("CARGO_TARGET_DIR")
        .cure("libFuzzer is built from source and needs a C++ compiler")
        .run()?;
    let built = target_dir.join(host()?).join("release");
    for target in targets {
        // AddressSanitizer can't start where the address space is limited, for example.
        let program = built.join(executable(target));
        if !Cmd::new(&program).arg("-help=1").works() {
            bail!("{} was built but can't be started", project.short(&program));
        }
    }
    Ok(built)
}

/// The compiler's name for this platform, which cargo-fuzz always builds for by name.
fn host() -> Result<String> {
    let version = Cmd::new("rustc").arg("-vV").output()?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("`rustc -vV` does not name its host")?.to_owned())
}

/// The paths of one target's run.
struct Run {
    target: String,
    /// Inputs in the repository; never written to.
    seeds: PathBuf,
    /// Words of the format, in the repository.
    dictionary: PathBuf,
    /// Inputs that reached new code, in this run and earlier ones.
    corpus: PathBuf,
    /// Inputs that made the target fail, in this run.
    crashes: PathBuf,
    /// The fuzzer's output.
    log: PathBuf,
}

impl Run {
    fn new(project: &Project, folder: &str, target: &str) -> Result<Self> {
        let (source, here) = (project.root.join(folder), project.fuzz().join(target));
        let run = Self {
            target: target.to_owned(),
            seeds: source.join("seeds").join(target),
            dictionary: source.join("dictionaries").join(format!("{target}.dict")),
            corpus: here.join("corpus"),
            crashes: here.join("crashes"),
            log: here.join("log"),
        };
        if run.crashes.exists() {
            fs::remove_dir_all(&run.crashes).context("remove the crashes of an earlier run")?;
        }
        for folder in [&run.corpus, &run.crashes] {
            fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
        }
        Ok(run)
    }

    fn run(&self, project: &Project, program: &Path, seconds: u64) -> Result<()> {
        let log = File::create(&self.log).with_context(|| format!("write {}", self.log.display()))?;
        let name = &self.target;
        eprintln!("fuzzing {name} for {seconds} s; its log is {}", project.short(&self.log));
        let mut fuzzer = Cmd::new(program).arg(&self.corpus);
        // What wasm-smith makes has neither: its inputs mean nothing to people.
        if self.seeds.is_dir() {
            fuzzer = fuzzer.arg(&self.seeds);
        }
        if self.dictionary.is_file() {
            fuzzer = fuzzer.arg(format!("-dict={}", self.dictionary.display()));
        }
        fuzzer
            .env_hidden("FUZZ_FAILURES", &self.crashes)
            .arg(format!("-artifact_prefix={}{}", self.crashes.display(), std::path::MAIN_SEPARATOR))
            .arg(format!("-max_total_time={seconds}"))
            .arg(format!("-max_len={MAX_INPUT_BYTES}"))
            .arg(format!("-rss_limit_mb={MAX_MEMORY_MB}"))
            .arg(format!("-timeout={MAX_INPUT_SECONDS}"))
            .arg("-print_final_stats=1")
            .time_limit(Duration::from_secs(seconds) + GRACE)
            .stderr(log)
            .run()
    }

    fn log_text(&self) -> String {
        fs::read(&self.log).map(|log| String::from_utf8_lossy(&log).into_owned()).unwrap_or_default()
    }

    fn crashes(&self) -> Result<Vec<PathBuf>> {
        let entries = fs::read_dir(&self.crashes).context("look for crashes")?;
        entries.map(|entry| Ok(entry?.path())).collect()
    }
}

/// The figures that libFuzzer prints at the end, as text.
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
    /// Reads a log; a figure that isn't in it stays empty.
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
    fn the_figures_are_the_last_that_the_fuzzer_printed() {
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
    fn every_target_is_in_one_folder_and_has_its_source_there() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        assert_eq!(IN_FOLDERS.iter().sum::<usize>(), TARGETS.len());
        for (folder, targets) in folders() {
            for target in targets {
                let source = root.join(folder).join("fuzz_targets").join(target);
                assert!(
                    source.with_extension("rs").is_file() || source.join("main.rs").is_file(),
                    "{target}"
                );
            }
        }
    }

    #[test]
    fn a_log_without_figures_has_none() {
        assert_eq!(Figures::read("cov:\nno such thing"), Figures::default());
    }
}
