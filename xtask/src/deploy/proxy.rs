//! The configuration of a proxy in front of a node, read by nginx.

use std::fs;

use anyhow::{Context, Result};

use super::fetched;
use super::skip::skipped;
use crate::process::Cmd;
use crate::project::Project;

const NGINX: &str = "deploy/proxy/nginx.conf";
/// The files that it names.
const FOLDER: &str = "/etc/nginx/posemesh-node";

pub(super) fn check(project: &Project) -> Result<()> {
    let nginx = match fetched::nginx(project) {
        Ok(nginx) => nginx,
        Err(error) => {
            eprintln!("{error:#}");
            skipped("the proxy as nginx reads it", "nginx");
            return Ok(());
        }
    };
    // Out of its package, and not installed: what it is linked to may not be here.
    if !Cmd::new(&nginx).arg("-v").works() {
        skipped("the proxy as nginx reads it", "nginx");
        return Ok(());
    }
    if !Cmd::new("openssl").arg("version").works() {
        skipped("the proxy as nginx reads it", "openssl");
        return Ok(());
    }
    let folder = project.target.join("proxy");
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    let here = folder.join("node");
    let at = |end: &str| format!("{}.{end}", here.display());
    fs::write(at("htpasswd"), "somebody:{PLAIN}for a try\n")?;
    Cmd::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=node.example"])
        .args(["-keyout", &at("key"), "-out", &at("crt")])
        .output()?;
    let text = fs::read_to_string(project.root.join(NGINX)).with_context(|| format!("read {NGINX}"))?;
    // A try listens on no port of this machine.
    let text = text.replace(FOLDER, &here.display().to_string());
    let text = text.replace("listen 443 ssl;", &format!("listen unix:{} ssl;", at("sock")));
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {}/{name};\n", folder.display()));
    let whole = format!(
        "pid {0}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{1}{text}}}\n",
        folder.display(),
        temporary.concat()
    );
    let config = folder.join("nginx.conf");
    fs::write(&config, whole)?;
    let tested = Cmd::new(&nginx).args(["-t", "-q", "-p"]).arg(&folder).arg("-c").arg(&config).output();
    let _ = fs::remove_file(at("sock"));
    tested.map(drop).with_context(|| format!("{NGINX} is not as nginx wants it"))
}
