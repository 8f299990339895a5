//! The root of the container image: made as the Containerfile makes it, and the node tried in it, with secrets in files as
//! docs/deploy.md mounts them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::fetched;
use super::packages;
use super::skip::skipped;
use crate::process::Cmd;
use crate::project::Project;

const CONTAINERFILE: &str = "deploy/container/Containerfile";
/// The image's user.
const USER: &str = "65532:65532";
/// Where the secrets are in the container, as in docs/deploy.md.
const SECRETS: &str = "/run/secrets";
const SECRET_FILES: [(&str, &str); 2] =
    [("REG_SECRET_FILE", "reg-secret"), ("SECP256K1_PRIVHEX_FILE", "private-key")];
/// What the root is made of, by rootfs.sh.
const PACKAGES: [&str; 3] = ["libc6", "libgcc-s1", "ca-certificates"];
const NODE: &str = "/usr/bin/posemesh-node";

/// Makes the root in target/container, tries the node in it, and makes an image of it if there is a tool for it.
///
/// # Errors
/// If it can't be made, or the node does not run in it.
pub(super) fn make(project: &Project, debug: bool) -> Result<()> {
    let program = packages::program(project, debug, packages::Devnet::Without)?;
    let folder = project.target.join("container");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("remove {}", folder.display()))?;
    }
    fs::create_dir_all(&folder)?;
    let script = project.root.join("deploy/container/rootfs.sh");
    Cmd::new("sh")
        .arg(&script)
        .arg(&program)
        .arg(&folder)
        .cure("this is done by Debian's apt-get and dpkg-deb")
        .run()?;
    let text = fs::read_to_string(project.root.join(CONTAINERFILE))?;
    let root = Cmd::new("id").arg("-u").output()? == "0";
    if root {
        in_the_root(&folder, &program, &environment(&text))?;
    } else {
        skipped("the node in the image's root", "root");
    }
    if !Cmd::new("buildah").arg("--version").works() {
        skipped("an image of target/container", "buildah");
        return Ok(());
    }
    for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
        fs::copy(project.root.join(licence), folder.join(licence))?;
    }
    fs::write(folder.join("Containerfile"), last_stage(&text)?)?;
    let build = Cmd::new("buildah").dir(&folder).args(["build", "--isolation", "chroot"]);
    // One that is only tried takes no name of a released one.
    let image = if debug { "posemesh-node:tried" } else { "posemesh-node" };
    build.args(["-t", image, "."]).run()?;
    let done = if root { in_the_image(&folder, &program, image) } else { Ok(()) };
    if debug {
        Cmd::new("buildah").args(["rmi", image]).output()?;
    }
    done
}

/// As [`make`], unless Debian's packages can't be had here.
///
/// # Errors
/// As [`make`].
pub(super) fn make_if_possible(project: &Project, debug: bool) -> Result<()> {
    match fetched::can_be_fetched(project, PACKAGES[0]) {
        Ok(()) => make(project, debug),
        Err(error) => {
            eprintln!("{error:#}");
            skipped("the image's root", "way to Debian's packages");
            Ok(())
        }
    }
}

/// The last stage of the Containerfile, with what is there in place of what the stage before makes.
fn last_stage(containerfile: &str) -> Result<String> {
    let (_, stage) = containerfile
        .split_once("FROM scratch\n")
        .context("the Containerfile ends with an image from scratch")?;
    let stage = stage.replace("--from=build ", "").replace(" /image/", " ");
    Ok(format!("FROM scratch\n{stage}"))
}

/// The environment that an image has by its Containerfile.
fn environment(containerfile: &str) -> Vec<(&str, &str)> {
    let lines = containerfile.split_once("\nENV ").map(|(_, rest)| rest).unwrap_or_default().lines();
    let mut ended = false;
    let lines = lines.take_while(|line| !std::mem::replace(&mut ended, !line.ends_with('\\')));
    lines.filter_map(|line| line.trim_end_matches('\\').trim().split_once('=')).collect()
}

/// An identity in files of this user's alone, as `key generate` and docs/deploy.md make them.
fn identity(folder: &Path, program: &Path) -> Result<PathBuf> {
    let secrets = folder.join("secrets");
    if secrets.exists() {
        fs::remove_dir_all(&secrets)?;
    }
    fs::create_dir_all(&secrets)?;
    Cmd::new(program).args(["key", "generate", "--out"]).arg(secrets.join("private-key")).output()?;
    let file = secrets.join("reg-secret");
    fs::write(&file, "a secret for a try\n")?;
    Cmd::new("chmod").arg("0600").arg(&file).output()?;
    Ok(secrets)
}

/// Gives the files to the image's user.
fn hand_over(secrets: &Path) -> Result<()> {
    let files = SECRET_FILES.map(|(_, file)| secrets.join(file));
    Cmd::new("chown").arg(USER).args(files).output().map(drop)
}

/// Checks that the node starts with these secrets once they are the image's user's, and says which it can't read before.
fn with_secrets(secrets: &Path, check: impl Fn() -> Result<String>) -> Result<()> {
    match check() {
        Ok(_) => bail!("the image's user reads files that are root's alone"),
        Err(error) => {
            let said = format!("{error:#}");
            if !SECRET_FILES.iter().all(|(name, _)| said.contains(name)) {
                return Err(error.context("config check does not say which secrets can't be read"));
            }
        }
    }
    hand_over(secrets)?;
    for line in check()?.lines().filter(|line| line.starts_with('#')) {
        eprintln!("  {line}");
    }
    Ok(())
}

/// The node in the root alone, as the image's user.
fn in_the_root(folder: &Path, program: &Path, environment: &[(&str, &str)]) -> Result<()> {
    let root = folder.join("tried");
    Cmd::new("cp").arg("-a").arg(folder.join("rootfs")).arg(&root).output()?;
    for own in ["work", "cache"] {
        Cmd::new("cp").arg("-a").arg(folder.join("folders").join(own)).arg(&root).output()?;
        Cmd::new("chown").arg(USER).arg(root.join(own)).output()?;
    }
    let secrets = identity(folder, program)?;
    let inside = |arguments: &[&str]| {
        let mut command =
            Cmd::new("chroot").arg(format!("--userspec={USER}")).arg(&root).arg(NODE).args(arguments);
        for (name, value) in environment {
            command.set_env(name, value);
        }
        for (name, file) in SECRET_FILES {
            command.set_env(name, format!("{SECRETS}/{file}"));
        }
        command.env_hidden("HOME", "/").env_hidden("LOG_FORMAT", "text")
    };
    eprintln!("in the image's root: {}", inside(&["--version"]).output()?);
    let mounted = root.join(SECRETS.trim_start_matches('/'));
    fs::create_dir_all(mounted.parent().unwrap_or(&root))?;
    fs::rename(&secrets, &mounted)?;
    let done = with_secrets(&mounted, || inside(&["config", "check"]).output());
    // It is made anew by each try.
    fs::remove_dir_all(&root)?;
    done.context("the node in the image's root")
}

/// The node in the image, with a volume for the secrets.
fn in_the_image(folder: &Path, program: &Path, image: &str) -> Result<()> {
    let buildah = || Cmd::new("buildah");
    let container = buildah().arg("from").arg(format!("localhost/{image}")).output()?;
    let done = (|| {
        for (name, file) in SECRET_FILES {
            let secret = format!("{name}={SECRETS}/{file}");
            buildah().args(["config", "--env", &secret, &container]).output()?;
        }
        let secrets = identity(folder, program)?;
        let volume = format!("{}:{SECRETS}:ro", secrets.display());
        let run =
            || buildah().args(["run", "--isolation", "chroot", "--volume", &volume, &container, "--", NODE]);
        eprintln!("in the image: {}", run().arg("--version").output()?);
        with_secrets(&secrets, || run().args(["config", "check"]).output()).context("the node in the image")
    })();
    buildah().args(["rm", &container]).output()?;
    let _ = fs::remove_dir_all(folder.join("secrets"));
    done
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_made_of_the_packages_that_are_looked_for() {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/container/rootfs.sh");
        let download = format!("apt-get -qq download {})", PACKAGES.join(" "));
        assert!(fs::read_to_string(script).unwrap().contains(&download), "{download}");
    }

    #[test]
    fn the_last_stage_and_its_environment_are_found() {
        let text =
            fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(CONTAINERFILE)).unwrap();
        let stage = last_stage(&text).unwrap();
        // What belongs to the image's user is said so: a builder gives all else to root.
        assert!(stage.contains("\nCOPY rootfs /\nCOPY --chown=65532:65532 folders /\n"), "{stage}");
        let environment = environment(&text);
        assert!(environment.contains(&("PLUGINS_DIR", "/plugins")), "{environment:?}");
        assert_eq!(environment.last(), Some(&("SHUTDOWN_GRACE_SECS", "8")));
    }

    #[test]
    fn neither_secrets_nor_what_is_built_here_gets_into_a_layer() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let ignored = fs::read_to_string(root.join(".dockerignore")).unwrap();
        for name in ["target", ".git", "secrets", "**/private-key", "**/reg-secret", "**/*.private-key"] {
            assert!(ignored.lines().any(|line| line == name), "{name}");
        }
        // Its context is a folder of runners, and of the repository there is nothing in it that could be meant.
        let runners = fs::read_to_string(root.join("deploy/container/Containerfile.runners")).unwrap();
        assert!(runners.contains("\nCOPY --chown=65532:65532 . /plugins\n"));
    }
}
