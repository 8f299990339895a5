//! The root of the container image: made as the Containerfile makes it, and the node tried in it.

use std::fs;

use anyhow::{Context, Result};

use super::packages;
use super::skip::skipped;
use crate::process::Cmd;
use crate::project::Project;

const CONTAINERFILE: &str = "deploy/container/Containerfile";
/// The image's user.
const USER: &str = "65532:65532";

/// Makes the root in target/container/rootfs, tries the node in it, and makes an image of it if there is a tool for it.
///
/// # Errors
/// If it can't be made, or the node does not run in it.
pub(super) fn make(project: &Project, debug: bool) -> Result<()> {
    let program = packages::program(project, debug, packages::Devnet::Without)?;
    let folder = project.target.join("container");
    let root = folder.join("rootfs");
    if root.exists() {
        fs::remove_dir_all(&root).with_context(|| format!("remove {}", root.display()))?;
    }
    fs::create_dir_all(&folder)?;
    let script = project.root.join("deploy/container/rootfs.sh");
    Cmd::new("sh")
        .arg(&script)
        .arg(&program)
        .arg(&root)
        .cure("this is done by Debian's apt-get and dpkg-deb")
        .run()?;
    if Cmd::new("id").arg("-u").output()? == "0" {
        let inside = |arguments: &[&str]| {
            let chroot =
                Cmd::new("chroot").arg(format!("--userspec={USER}")).arg(&root).arg("/usr/bin/posemesh-node");
            chroot.args(arguments).env_hidden("HOME", "/")
        };
        eprintln!("in the image's root: {}", inside(&["--version"]).output()?);
        // A key is made with the kernel's random numbers, and the folders of the image are found to be this user's alone.
        inside(&["key", "generate", "--out", "/work/key"]).output()?;
        let checked = inside(&["config", "check"])
            .env_hidden("PLUGINS_DIR", "/plugins")
            .env_hidden("WORK_DIR", "/work")
            .env_hidden("CACHE_DIR", "/cache")
            .env_hidden("REG_SECRET", "a secret for a try")
            .env_hidden("SECP256K1_PRIVHEX_FILE", "/work/key")
            .output()?;
        fs::remove_file(root.join("work/key"))?;
        for line in checked.lines().filter(|line| line.starts_with('#')) {
            eprintln!("  {line}");
        }
    } else {
        skipped("the node in the image's root", "root");
    }
    if !Cmd::new("buildah").arg("--version").works() {
        skipped("an image of the root in target/container/rootfs", "buildah");
        return Ok(());
    }
    // The second half of the Containerfile, with the root that is there in place of the first half.
    let text = fs::read_to_string(project.root.join(CONTAINERFILE))?;
    let (_, image) =
        text.split_once("FROM scratch\n").context("the Containerfile ends with an image from scratch")?;
    let image = image.replace("COPY --from=build /root-of-image /", "COPY rootfs /");
    for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
        fs::copy(project.root.join(licence), folder.join(licence))?;
    }
    fs::write(folder.join("Containerfile"), format!("FROM scratch\n{image}"))?;
    Cmd::new("buildah")
        .dir(&folder)
        .args(["build", "--isolation", "chroot", "-t", "posemesh-node", "."])
        .run()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::*;

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
