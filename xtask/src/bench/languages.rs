//! `bench languages`: what a runner costs in each language of `plugin new`: its size, loading it, reading a large file by the
//! SDK's stream, and the task of the project that is written. Prints Markdown.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::languages::{self, Need};
use crate::process::{Cmd, Ending};
use crate::project::Project;
use crate::setup::{self, TARGET, Toolchain};
use crate::templates::make;

/// Size of the file that is read, in bytes.
const LARGE: u64 = 200_000_000;
/// How often each is measured; the median counts.
const TIMES: usize = 3;
/// The same of whole tasks, which take most of a minute in some languages.
const WHOLE_TIMES: usize = 1;
/// The name of the projects.
const NAME: &str = "measured";

/// A language of `plugin new`, with what builds its projects.
struct Language {
    name: &'static str,
    /// What `--lang` takes.
    option: &'static str,
    /// The file of the runner, in its project and in `bench/reading`.
    source: (&'static str, &'static str),
    /// A program or a folder, as [`languages()`] says.
    tool: PathBuf,
}

/// What `plugin run` says of a run at its end.
struct Run {
    wall: Duration,
    processor: Duration,
    memory: String,
}

/// Measures each language whose toolchain is there.
///
/// # Errors
/// If a project can't be made, built or run.
pub(crate) fn languages(project: &Project) -> Result<()> {
    // Without the program that measures the rest.
    project.cargo("build").args(["--release", "-p", "posemesh-node", "--bin", "posemesh-node"]).run()?;
    let folder = project.target.join("bench-languages");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
    let large = folder.join("points.csv");
    write_points(&large)?;
    let mut table = String::from(
        "| language | size | cold / cached | streamed read | on the processor | whole task | on the processor | guest memory small / large |\n\
         | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
    );
    for language in found(project)? {
        let row = measured(project, &folder, &large, &language)
            .with_context(|| format!("measure {}", language.name))?;
        eprintln!("{row}");
        writeln!(table, "{row}")?;
    }
    println!("{table}");
    Ok(())
}

/// The languages whose toolchains are there.
fn found(project: &Project) -> Result<Vec<Language>> {
    let cargo = setup::toolchain().map(|_| Some(PathBuf::from("cargo")))?;
    let of = |name, option, source, tool: Option<PathBuf>| {
        tool.map(|tool| Language { name, option, source, tool })
    };
    let all = [
        of("Rust", "rust", ("src/lib.rs", "lib.rs"), cargo),
        of("Python", "python", ("app.py", "app.py"), languages::python(project, Need::Optional)?),
        of(
            "JavaScript (QuickJS)",
            "js",
            ("app.js", "app.js"),
            languages::javascript(project, Need::Optional)?,
        ),
        of(
            "TypeScript (QuickJS)",
            "ts",
            ("src/app.ts", "app.ts"),
            languages::typescript(project, Need::Optional)?,
        ),
        of("C", "c", ("app.c", "app.c"), languages::c(project, Need::Optional)?),
        of("Go", "go", ("app.go", "app.go"), languages::go(project, Need::Optional)?),
    ];
    Ok(all.into_iter().flatten().collect())
}

fn measured(project: &Project, folder: &Path, large: &Path, language: &Language) -> Result<String> {
    let node = project.released("posemesh-node");
    let whole = built(project, &folder.join(language.option), language, false)?;
    let reading = built(project, &folder.join(format!("{}-reading", language.option)), language, true)?;
    let size = fs::metadata(&whole).context("look at the component")?.len();

    let (mut cold, mut cached) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let cache = folder.join("cache");
        let _ = fs::remove_dir_all(&cache);
        for times in [&mut cold, &mut cached] {
            let began = Instant::now();
            Cmd::new(&node).args(["plugin", "show"]).arg(&whole).env_hidden("CACHE_DIR", &cache).output()?;
            times.push(began.elapsed());
        }
    }
    let small = folder.join(language.option).join("cases/heights/inputs/points.csv");
    let small = run(&node, folder, &whole, &small)?.memory;
    let of = |component: &Path, times: usize| {
        (0..times).map(|_| run(&node, folder, component, large)).collect::<Result<Vec<Run>>>()
    };
    let (read, done) = (median(of(&reading, TIMES)?), median(of(&whole, WHOLE_TIMES)?));
    let rate = |time: Duration| format!("{:.0} MB/s", LARGE as f64 / 1e6 / time.as_secs_f64());
    Ok(format!(
        "| {} | {} KB | {:.2?} / {:.0?} | {} | {} | {:.1?} | {:.1?} | {small} / {} |",
        language.name,
        size / 1000,
        middle(cold),
        middle(cached),
        rate(read.wall),
        rate(read.processor),
        done.wall,
        done.processor,
        done.memory,
    ))
}

/// Makes a project and builds it; with another source, if it is to read only.
fn built(project: &Project, folder: &Path, language: &Language, reads: bool) -> Result<PathBuf> {
    let node = project.released("posemesh-node");
    Cmd::new(node).args(["plugin", "new", NAME, "--lang", language.option, "--dir"]).arg(folder).output()?;
    if reads {
        let (to, from) =
            (folder.join(language.source.0), project.root.join("bench/reading").join(language.source.1));
        fs::copy(&from, &to).with_context(|| format!("copy {}", from.display()))?;
    }
    let component = folder.join(format!("{NAME}.wasm"));
    match language.option {
        "rust" => {
            let target = project.target.join("bench-languages-rust");
            let cargo = Cmd::cargo()
                .args(["build", "--locked", "--release", "--target", TARGET])
                .dir(folder)
                .env_remove("RUSTFLAGS")
                .env_remove("CARGO_ENCODED_RUSTFLAGS")
                .env_hidden("CARGO_TARGET_DIR", &target);
            match setup::toolchain()? {
                Toolchain::Active => cargo.run()?,
                Toolchain::Debian(debian) => debian.apply(cargo, "")?.run()?,
            }
            fs::copy(target.join(TARGET).join("release").join(format!("{NAME}.wasm")), &component)
                .context("copy the component")?;
        }
        "python" => Cmd::new(&language.tool)
            .args(["-d", "wit", "-w", "runner", "componentize", "app", "-o"])
            .arg(&component)
            .dir(folder)
            .run()?,
        "js" => Cmd::new(&language.tool)
            .args([
                "--wit",
                "wit",
                "--world",
                "runner",
                "--module-root",
                ".",
                "--js",
                "main.js",
                "--sync",
                "--output",
            ])
            .arg(&component)
            .dir(folder)
            .run()?,
        "ts" => {
            let link = folder.join("node_modules");
            std::os::unix::fs::symlink(&language.tool, &link)
                .with_context(|| format!("link {}", link.display()))?;
            Cmd::new("npm").args(["run", "build"]).dir(folder).run()?;
        }
        _ => make(project, &language.tool, folder, &format!("{NAME}.wasm")).run()?,
    }
    Ok(component)
}

/// One run on a file.
fn run(node: &Path, folder: &Path, component: &Path, input: &Path) -> Result<Run> {
    let log = folder.join("run.log");
    let ending = Cmd::new(node)
        .args(["plugin", "run"])
        .arg(component)
        .arg("--input")
        .arg(input)
        .args(["--meta", r#"{"column": "height"}"#, "--out"])
        .arg(folder.join("out"))
        .env_hidden("CACHE_DIR", folder.join("cache"))
        .run_into(&log)?;
    if ending != Ending::Success {
        bail!("the run on {} failed: {} says why", input.display(), log.display());
    }
    let said = fs::read_to_string(&log).context("read what the run says")?;
    parse(&said).with_context(|| format!("understand the last line of {}", log.display()))
}

/// Reads `done in 1.23s, 980.00ms of it on the processor, peak memory 1.8 MiB, ...`.
fn parse(said: &str) -> Option<Run> {
    let line = said.lines().rev().find_map(|line| line.strip_prefix("done in "))?;
    let mut fields = line.split(", ");
    Some(Run {
        wall: duration(fields.next()?)?,
        processor: duration(fields.next()?.strip_suffix(" of it on the processor")?)?,
        memory: fields.next()?.strip_prefix("peak memory ")?.to_owned(),
    })
}

fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| !(c.is_ascii_digit() || c == '.'))?);
    let seconds = match unit {
        "s" => 1.0,
        "ms" => 1e-3,
        "µs" => 1e-6,
        "ns" => 1e-9,
        _ => return None,
    };
    Some(Duration::from_secs_f64(number.parse::<f64>().ok()? * seconds))
}

/// The run whose time on the processor is in the middle.
fn median(mut runs: Vec<Run>) -> Run {
    runs.sort_by_key(|run| run.processor);
    runs.swap_remove(runs.len() / 2)
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.swap_remove(times.len() / 2)
}

/// The file: columns of names and numbers, the same in each run.
fn write_points(path: &Path) -> Result<()> {
    let mut file = BufWriter::new(File::create(path).with_context(|| format!("create {}", path.display()))?);
    let header = b"name,height,width,depth\n";
    file.write_all(header)?;
    let mut written = header.len() as u64;
    let mut row = 0_u64;
    while written < LARGE {
        row += 1;
        let number = row.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        let line = format!(
            "point-{row},{:.3},{:.3},{:.3}\n",
            number as f64 / 1e3,
            row as f64 / 7.0,
            number as f64 / 3e4
        );
        file.write_all(line.as_bytes())?;
        written += line.len() as u64;
    }
    file.flush().with_context(|| format!("write {}", path.display()))
}

#[cfg(test)]
#[allow(clippy::expect_used)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_a_run_is_understood() {
        let said = "summary.json  9 bytes\ndone in 1.23s, 980.00ms of it on the processor, peak memory 1.8 MiB, 190.7 MiB read\n";
        let run = parse(said).expect("it is understood");
        assert_eq!((run.wall, run.processor), (Duration::from_millis(1230), Duration::from_millis(980)));
        assert_eq!(run.memory, "1.8 MiB");
        assert!(parse("failed in 1.23s").is_none());
    }
}
