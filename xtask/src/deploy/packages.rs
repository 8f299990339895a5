//! Packages with the program: made, installed into a folder, and tried there. None is published.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use serde_json::json;

use crate::process::Cmd;
use crate::project::Project;
use crate::report::Report;
use crate::sbom;

/// A kind of package.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// For Debian: program, units, manual pages, completions.
    Deb,
    /// For `pip install`.
    Wheel,
    /// For `npm install`.
    Npm,
}

/// Whether the program has the devnet and the demo in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Devnet {
    With,
    Without,
}

/// Documents for operators, and the licences.
const DOCUMENTS: [&str; 11] = [
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "docs/audit.md",
    "docs/configuration.md",
    "docs/deploy.md",
    "docs/faults.md",
    "docs/metrics.md",
    "docs/operating.md",
    "docs/scaling.md",
    "docs/security.md",
    "docs/transcripts.md",
];
/// What Debian's dpkg runs: they make the user, start nothing, and end the nodes before their program goes.
const SCRIPTS: [&str; 3] = ["postinst", "prerm", "postrm"];
const SHELLS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/posemesh-node"),
    ("zsh", "usr/share/zsh/vendor-completions/_posemesh-node"),
    ("fish", "usr/share/fish/vendor_completions.d/posemesh-node.fish"),
];

pub(super) fn make(project: &Project, report: &mut Report, kinds: &[Kind], debug: bool) {
    let all = [Kind::Deb, Kind::Wheel, Kind::Npm];
    let kinds = if kinds.is_empty() { &all } else { kinds };
    for kind in kinds {
        report.step(format!("{kind:?} package").to_lowercase(), || match kind {
            Kind::Deb => deb(project, debug),
            Kind::Wheel => wheel(project, debug),
            Kind::Npm => npm(project, debug),
        });
    }
}

/// The program to pack: released, or with `debug` the one that is there, without what only a debugger needs.
pub(super) fn program(project: &Project, debug: bool, devnet: Devnet) -> Result<PathBuf> {
    if debug {
        let small = packages(project, true)?.join("posemesh-node");
        Cmd::new("strip")
            .arg("-o")
            .arg(&small)
            .arg(project.node())
            .cure("`cargo xtask demo` builds it")
            .output()?;
        return Ok(small);
    }
    let cargo = project.cargo("build").args(["--release", "--locked", "-p", "posemesh-node"]);
    let cargo = sbom::built_from(project, cargo);
    match devnet {
        Devnet::With => cargo.run()?,
        Devnet::Without => cargo.args(sbom::RELEASED).run()?,
    }
    Ok(project.released("posemesh-node"))
}

/// The folder for packages. Those that are only tried have the names of released ones, and lie elsewhere.
fn packages(project: &Project, debug: bool) -> Result<PathBuf> {
    let folder = project.target.join(if debug { "packages-tried" } else { "packages" });
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    Ok(folder)
}

/// An empty folder in the one for packages.
fn empty(project: &Project, name: &str, debug: bool) -> Result<PathBuf> {
    let folder = packages(project, debug)?.join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Runs an installed program; it must be the one that was packed, and find a configuration that works to be one.
fn tried(project: &Project, program: &Path, debug: bool) -> Result<()> {
    let version = Cmd::new(program).arg("--version").output()?;
    if version != format!("posemesh-node {}", env!("CARGO_PKG_VERSION")) {
        bail!("{} says that it is `{version}`", program.display());
    }
    let help = Cmd::new(program).args(["plugin", "--help"]).output()?;
    if !help.contains("rollback") {
        bail!("{} does not know its commands", program.display());
    }
    let home = empty(project, "home", debug)?;
    let (key, plugins) = (home.join("private-key"), home.join("plugins"));
    fs::create_dir_all(&plugins)?;
    Cmd::new(program).args(["key", "generate", "--out"]).arg(&key).output()?;
    let checked = Cmd::new(program).args(["config", "check"]).dir(&home).env_hidden("HOME", &home);
    let checked = checked.env_hidden("PLUGINS_DIR", &plugins).env_hidden("REG_SECRET", "a secret for a try");
    let checked = checked.env_hidden("SECP256K1_PRIVHEX_FILE", &key).output()?;
    if !checked.contains("PLUGINS_DIR=") {
        bail!("{} config check prints no settings: {checked}", program.display());
    }
    eprintln!("installed and tried: {version}");
    Ok(())
}

/// Unpacks a package for Debian into a folder, as an installation does: with a database of packages, if this is root. Its script,
/// which makes a user, is not run.
fn unpacked(package: &Path, folder: &Path) -> Result<()> {
    if Cmd::new("id").arg("-u").output()? != "0" {
        return Cmd::new("dpkg-deb").arg("--extract").arg(package).arg(folder).output().map(drop);
    }
    let database = folder.join("var/lib/dpkg");
    for part in ["info", "updates", "triggers"] {
        fs::create_dir_all(database.join(part))?;
    }
    fs::write(database.join("status"), "")?;
    // What it depends on is on this machine, and not in the folder.
    let root = format!("--root={}", folder.display());
    Cmd::new("dpkg").args([&root, "--force-depends", "--unpack"]).arg(package).output().map(drop)
}

fn deb(project: &Project, debug: bool) -> Result<()> {
    debian(project, debug).map(|_| ())
}

/// Makes the package for Debian and tries the program that is in it; where the package is.
pub(super) fn debian(project: &Project, debug: bool) -> Result<PathBuf> {
    let program = program(project, debug, Devnet::Without)?;
    let root = empty(project, "deb", debug)?;
    let put = |from: &Path, to: &str| -> Result<()> {
        let to = root.join(to);
        fs::create_dir_all(to.parent().unwrap_or(&root))?;
        fs::copy(from, &to).with_context(|| format!("copy {}", from.display())).map(|_| ())
    };
    put(&program, "usr/bin/posemesh-node")?;
    let deploy = project.root.join("deploy/systemd");
    for unit in ["posemesh-node.service", "posemesh-node@.service"] {
        put(&deploy.join(unit), &format!("usr/lib/systemd/system/{unit}"))?;
    }
    put(&deploy.join("posemesh-node.sysusers"), "usr/lib/sysusers.d/posemesh-node.conf")?;
    put(&deploy.join("posemesh-node.toml"), "usr/share/posemesh-node/posemesh-node.toml")?;
    let rules = project.root.join("deploy/prometheus/alerts.yml");
    put(&rules, "usr/share/doc/posemesh-node/examples/alerts.yml")?;
    let proxy = project.root.join("deploy/proxy/nginx.conf");
    put(&proxy, "usr/share/doc/posemesh-node/examples/nginx.conf")?;
    for document in DOCUMENTS {
        let name = Path::new(document).file_name().unwrap_or_default();
        put(&project.root.join(document), &format!("usr/share/doc/posemesh-node/{}", name.display()))?;
    }
    fs::write(
        root.join("usr/share/doc/posemesh-node/copyright"),
        "MIT OR Apache-2.0: LICENSE-MIT, LICENSE-APACHE\n",
    )?;
    let manual = root.join("usr/share/man/man1");
    Cmd::new(&program).args(["manual", "--out"]).arg(&manual).output()?;
    for (shell, path) in SHELLS {
        let script = Cmd::new(&program).args(["completions", shell]).output()?;
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap_or(&root))?;
        fs::write(path, script + "\n")?;
    }
    let architecture = Cmd::new("dpkg").arg("--print-architecture").output()?;
    let version = env!("CARGO_PKG_VERSION");
    let control = format!(
        "Package: posemesh-node\nVersion: {version}\nArchitecture: {architecture}\nSection: net\nPriority: optional\n\
         Maintainer: The posemesh-node authors <posemesh-node@localhost>\n\
         Depends: libc6 (>= {libc}), libgcc-s1\nRecommends: ca-certificates\nSuggests: prometheus\n\
         Description: posemesh compute node\n A compute node whose capability runners are WebAssembly components, each task\n \
         in a process of its own without network, files or secrets.\n",
        libc = libc_version()?,
    );
    fs::create_dir_all(root.join("DEBIAN"))?;
    fs::write(root.join("DEBIAN/control"), control)?;
    for name in SCRIPTS {
        let script = root.join("DEBIAN").join(name);
        fs::copy(project.root.join("deploy/packages").join(name), &script)?;
        Cmd::new("sh").arg("-n").arg(&script).output().with_context(|| format!("{name} is no script"))?;
        Cmd::new("chmod").arg("0755").arg(&script).output()?;
    }
    Cmd::new("chmod").arg("0755").arg(root.join("usr/bin/posemesh-node")).output()?;
    let package = packages(project, debug)?.join(format!("posemesh-node_{version}_{architecture}.deb"));
    // The best compression of a program that is to be tried alone would take two minutes.
    let compression: &[&str] = if debug { &["-Zgzip", "-z1"] } else { &[] };
    let build = Cmd::new("dpkg-deb").args(compression).args(["--root-owner-group", "--build"]);
    build.arg(&root).arg(&package).output()?;
    eprintln!("  {}", project.short(&package));
    let installed = empty(project, "deb-installed", debug)?;
    unpacked(&package, &installed)?;
    for path in SHELLS.map(|(_, path)| path).iter().chain(&["usr/share/man/man1/posemesh-node-run.1"]) {
        if !installed.join(path).exists() {
            bail!("{path} is not in {}", package.display());
        }
    }
    tried(project, &installed.join("usr/bin/posemesh-node"), debug)?;
    Ok(package)
}

/// The version of this machine's C library, which the program then needs at least.
fn libc_version() -> Result<String> {
    let printed = Cmd::new("getconf").arg("GNU_LIBC_VERSION").output()?;
    printed.split_whitespace().last().map(str::to_owned).context("getconf names no version of the C library")
}

/// Whether this machine's Python makes environments with pip in them.
pub(super) fn environments_can_be_made(project: &Project) -> bool {
    let made = empty(project, "environment", true).and_then(|folder| {
        Cmd::new("python3").args(["-m", "venv"]).arg(&folder).output()?;
        Cmd::new(folder.join("bin/python")).args(["-m", "pip", "--version"]).output()
    });
    made.is_ok()
}

fn wheel(project: &Project, debug: bool) -> Result<()> {
    let program = program(project, debug, Devnet::With)?;
    let out = packages(project, debug)?;
    let script = project.root.join("deploy/packages/wheel.py");
    let made = Cmd::new("python3")
        .arg(&script)
        .arg(&program)
        .args([env!("CARGO_PKG_VERSION"), &libc_version()?])
        .arg(&out);
    let wheel = PathBuf::from(made.output()?);
    eprintln!("  {}", project.short(&wheel));
    let environment = empty(project, "wheel-installed", debug)?;
    Cmd::new("python3").args(["-m", "venv"]).arg(&environment).output()?;
    let pip =
        Cmd::new(environment.join("bin/python")).args(["-m", "pip", "install", "--quiet", "--no-index"]);
    pip.arg(&wheel).output()?;
    tried(project, &environment.join("bin/posemesh-node"), debug)
}

fn npm(project: &Project, debug: bool) -> Result<()> {
    let program = program(project, debug, Devnet::With)?;
    let folder = empty(project, "npm", debug)?;
    let cpu = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    };
    let manifest = json!({
        "name": "posemesh-node", "version": env!("CARGO_PKG_VERSION"), "license": "MIT OR Apache-2.0",
        "description": "Build and test runners of posemesh compute nodes: the node, its test driver and a local network",
        "bin": {"posemesh-node": "bin/posemesh-node"}, "files": ["bin", "LICENSE-MIT", "LICENSE-APACHE"],
        "os": ["linux"], "cpu": [cpu], "libc": ["glibc"],
    });
    fs::write(folder.join("package.json"), format!("{manifest:#}\n"))?;
    fs::create_dir_all(folder.join("bin"))?;
    fs::copy(&program, folder.join("bin/posemesh-node"))?;
    for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
        fs::copy(project.root.join(licence), folder.join(licence))?;
    }
    let out = packages(project, debug)?;
    let packed =
        Cmd::new("npm").dir(&folder).args(["pack", "--silent", "--pack-destination"]).arg(&out).output()?;
    let package = out.join(packed.lines().last().context("npm names no package")?);
    eprintln!("  {}", project.short(&package));
    let installed = empty(project, "npm-installed", debug)?;
    let install =
        Cmd::new("npm").args(["install", "--silent", "--offline", "--no-audit", "--no-fund", "--prefix"]);
    install.arg(&installed).arg(&package).output()?;
    tried(project, &installed.join("node_modules/.bin/posemesh-node"), debug)
}
