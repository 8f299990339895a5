//! A sandbox process under the full control of an attacker: behind the same locks as any other, it tries what the task's
//! parameters name, and tells in the task's failure what came of it.

#![allow(unsafe_code, reason = "it makes the system calls that no honest process makes")]

use std::fs::File;
use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::Command;

use posemesh_plugin_host::sandbox::taken_over::TakenOver;
use serde_json::{Value, json};

const DESCRIPTION: &str = r#"{"Described":{"Ok":{"name":"attacker","version":"1.0.0","summary":"attacks",
    "capabilities":["/posemesh/test/attack/v1"],"limits":{},"network_hosts":[],"environment":[],
    "directories":["granted"],"meta_schema":null,"homepage":null,"license":null}}}"#;

fn main() -> io::Result<()> {
    let Some(process) = TakenOver::begin()? else { return Ok(()) };
    process.say(&json!({"Ready": {"missing": process.missing}}).to_string())?;
    while let Some((frame, descriptors)) = process.hear()? {
        let frame: Value = serde_json::from_str(&frame)?;
        if frame.get("Describe").is_some() {
            process.say(DESCRIPTION)?;
        } else if let Some(order) = frame.get("Run") {
            let call = order["call"].as_u64().unwrap_or_default();
            let meta = order["task"]["meta"].clone();
            let attack = Attack { process: &process, call, meta, descriptors };
            attack.run()?;
        }
    }
    Ok(())
}

struct Attack<'a> {
    process: &'a TakenOver,
    call: u64,
    meta: Value,
    descriptors: Vec<OwnedFd>,
}

impl Attack<'_> {
    fn run(&self) -> io::Result<()> {
        match self.meta["attack"].as_str().unwrap_or_default() {
            "everything" => self.end(&self.everything()),
            other => self.lie(other),
        }
    }

    /// Ends the task with what was found.
    fn end(&self, found: &Value) -> io::Result<()> {
        let failure = json!({"kind": "runner_error", "blame": "host", "reason": "tried", "details": found});
        self.process.say(&json!({"Ended": {"call": self.call, "result": {"Err": failure}}}).to_string())
    }

    fn say(&self, what: Value) -> io::Result<()> {
        self.process.say(&what.to_string())
    }

    fn ask(&self, ask: u64, what: Value) -> io::Result<()> {
        self.say(json!({"Ask": {"call": self.call, "ask": ask, "what": what}}))
    }

    /// Tries whatever could lead out, and notes what did.
    fn everything(&self) -> Value {
        let node = self.process.node;
        let text = |name: &str| self.meta[name].as_str().unwrap_or_default().to_owned();
        let mut worked = Vec::new();
        let mut note = |what: &str, result: io::Result<()>| {
            if result.is_ok() {
                worked.push(what.to_owned());
            }
        };
        for path in ["/", "/etc", "/proc", "/proc/self", "/tmp", "/dev", "/sys", "/home"] {
            note(&format!("list {path}"), std::fs::read_dir(path).map(drop));
        }
        let of_node = ["environ", "maps", "mem", "fd", "cwd", "root", "cmdline"]
            .map(|file| format!("/proc/{node}/{file}"));
        let files = [
            "/etc/passwd",
            "/proc/self/environ",
            "/proc/self/mem",
            "/proc/self/maps",
            "/dev/null",
            "/dev/zero",
        ];
        for path in of_node.iter().map(String::as_str).chain(files) {
            note(&format!("open {path}"), File::open(path).map(drop));
        }
        note("read the secret file", File::open(text("secret")).map(drop));
        note("read the secret file by leaving the folder", {
            File::open(format!("{}/../../../../../../../..{}", self.process.folder, text("secret"))).map(drop)
        });
        let link = format!("{}/link", self.process.folder);
        let _ = std::os::unix::fs::symlink(text("secret"), &link);
        note("read the secret file by a link", File::open(&link).map(drop));
        note(
            "write beside the folder",
            File::create(format!("{}/../planted", self.process.folder)).map(drop),
        );
        note("list the neighbours", std::fs::read_dir(format!("{}/..", self.process.folder)).map(drop));
        note("hard link to the secret file", std::fs::hard_link(text("secret"), format!("{link}-hard")));
        for granted in &self.process.granted {
            let path = format!("/proc/self/fd/{}", granted.as_raw_fd());
            note("write to a granted directory", File::create(format!("{path}/planted")).map(drop));
            note("leave a granted directory", File::open(format!("{path}/../secret")).map(drop));
        }
        let port = self.meta["port"].as_u64().unwrap_or_default();
        note("connect by TCP", TcpStream::connect(format!("127.0.0.1:{port}")).map(drop));
        note("listen by TCP", TcpListener::bind("127.0.0.1:0").map(drop));
        note("open UDP", UdpSocket::bind("127.0.0.1:0").map(drop));
        note("connect to a Unix socket", UnixStream::connect(text("socket")).map(drop));
        note("make a socket pair", UnixStream::pair().map(drop));
        note("start a program", Command::new("/bin/true").status().map(drop));
        let node = i64::from(node);
        let calls: &[(&str, libc::c_long, [i64; 5])] = &[
            ("kill the node", libc::SYS_kill, [node, 0, 0, 0, 0]),
            ("kill every process", libc::SYS_kill, [-1, 0, 0, 0, 0]),
            ("signal a thread of the node", libc::SYS_tgkill, [node, node, 0, 0, 0]),
            ("signal the own process", libc::SYS_tgkill, [i64::from(std::process::id()), 1, 9, 0, 0]),
            ("trace the node", libc::SYS_ptrace, [i64::from(libc::PTRACE_SEIZE), node, 0, 0, 0]),
            ("let itself be traced", libc::SYS_ptrace, [i64::from(libc::PTRACE_TRACEME), 0, 0, 0, 0]),
            ("read the node's memory", libc::SYS_process_vm_readv, [node, 0, 0, 0, 0]),
            ("a handle on the node", libc::SYS_pidfd_open, [node, 0, 0, 0, 0]),
            ("fork", libc::SYS_clone, [i64::from(libc::SIGCHLD), 0, 0, 0, 0]),
            ("a namespace", libc::SYS_unshare, [i64::from(libc::CLONE_NEWUSER), 0, 0, 0, 0]),
            ("a ring", libc::SYS_io_uring_setup, [1, 0, 0, 0, 0]),
            ("a program for the kernel", libc::SYS_bpf, [0, 0, 0, 0, 0]),
            ("counters", libc::SYS_perf_event_open, [0, 0, -1, -1, 0]),
            ("another root", libc::SYS_chroot, [c"/".as_ptr() as i64, 0, 0, 0, 0]),
            ("a key ring", libc::SYS_keyctl, [0, -3, 0, 0, 0]),
            ("page faults", libc::SYS_userfaultfd, [0, 0, 0, 0, 0]),
            ("another user", libc::SYS_setuid, [0, 0, 0, 0, 0]),
            ("capabilities", libc::SYS_capset, [0, 0, 0, 0, 0]),
            ("a handle of a file", libc::SYS_open_by_handle_at, [-1, 0, 0, 0, 0]),
            ("become dumpable", libc::SYS_prctl, [4, 1, 0, 0, 0]),
            ("outlive the node", libc::SYS_prctl, [1, 0, 0, 0, 0]),
            ("ioctl", libc::SYS_ioctl, [0, i64::from(libc::FIONREAD as u32), 0, 0, 0]),
            ("a new session", libc::SYS_setsid, [0, 0, 0, 0, 0]),
        ];
        // Landlock asks about none of these.
        let secret = std::ffi::CString::new(text("secret")).unwrap_or_default();
        let path = secret.as_ptr() as i64;
        let here = i64::from(libc::AT_FDCWD);
        let granted = self.process.granted.first().map_or(-1, |granted| i64::from(granted.as_raw_fd()));
        let metadata: &[(&str, libc::c_long, [i64; 5])] = &[
            ("change the mode of a file", libc::SYS_fchmodat, [here, path, 0o666, 0, 0]),
            ("change the mode of a file, newly", 452, [here, path, 0o666, 0, 0]),
            ("change the mode of a granted directory", libc::SYS_fchmod, [granted, 0o777, 0, 0, 0]),
            ("change the times of a file", libc::SYS_utimensat, [here, path, 0, 0, 0]),
            (
                "change the times of what is below a granted directory",
                libc::SYS_utimensat,
                [granted, path, 0, 0, 0],
            ),
            ("change the owner of a file", libc::SYS_fchownat, [here, path, 1, 1, 0]),
            ("change an attribute of a file", libc::SYS_setxattr, [path, path, path, 1, 0]),
            ("a memory file", libc::SYS_memfd_create, [c"x".as_ptr() as i64, 0, 0, 0, 0]),
            ("a secret memory file", libc::SYS_memfd_secret, [0, 0, 0, 0, 0]),
            ("memory of System V", libc::SYS_shmget, [0, 4096, 0o1600, 0, 0]),
            ("a queue of System V", libc::SYS_msgget, [0, 0o1600, 0, 0, 0]),
        ];
        for (what, number, [a, b, c, d, e]) in calls.iter().chain(metadata) {
            // SAFETY: each is refused before it does anything, which is what is tested; none touches this memory, and the path
            // lives as long as the calls.
            let result = unsafe { libc::syscall(*number, *a, *b, *c, *d, *e) };
            let refused = io::Error::last_os_error().raw_os_error() == Some(libc::EPERM);
            // Another error would mean that the kernel has looked at the arguments.
            note(
                what,
                if result == -1 && refused { Err(io::ErrorKind::PermissionDenied.into()) } else { Ok(()) },
            );
        }
        note("shared memory", shared_memory());
        note("executable memory", executable_memory());
        note("lift a limit", lift_limit());
        note(
            "more memory than the task may have",
            much_memory(self.meta["memory"].as_u64().unwrap_or(1 << 40)),
        );
        let own = File::create(format!("{}/own", self.process.folder)).map(drop);
        json!({
            "worked": worked,
            "own_folder": own.is_ok(),
            "environment": std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned()).collect::<Vec<_>>(),
            "descriptors": (0..256).filter(|fd| is_open(*fd)).count(),
            "handed_over": self.descriptors.len() + self.process.granted.len(),
            "threads": most_threads(),
        })
    }

    /// Says what an honest process would not.
    fn lie(&self, how: &str) -> io::Result<()> {
        let process = self.process;
        match how {
            "no JSON" => process.say("hello"),
            "no frame" => process.send(&[7; 100], &[]),
            "an unknown word" => process.say(r#"{"Secrets":{}}"#),
            "a frame without end" => {
                let piece = [&[2][..], &[b'x'; 30_000]].concat();
                loop {
                    process.send(&piece, &[])?;
                }
            }
            "a huge frame that is no report" => {
                let used: serde_json::Map<String, Value> =
                    (0..200_000).map(|n| (n.to_string(), json!(1))).collect();
                self.say(json!({"Usage": {"call": self.call, "used": used}}))
            }
            "a frame in a file" => {
                let file = File::create(format!("{}/frame", process.folder))?;
                file.set_len(5 << 20)?;
                process.send(&[1], &[file.as_fd()])
            }
            "nothing at all" => {
                process.send(&[], &[])?;
                wait_for_ever()
            }
            "a channel that is closed" => {
                for channel in [0, process.channel().as_raw_fd()] {
                    // SAFETY: nobody uses them afterwards.
                    unsafe { libc::close(channel) };
                }
                wait_for_ever()
            }
            "descriptors" => {
                let many: Vec<_> = (0..60).map(|_| process.channel()).collect();
                let dropped = json!({"LinesDropped": {"call": self.call, "count": 1}});
                let frame = [&[0], dropped.to_string().as_bytes()].concat();
                for _ in 0..2000 {
                    process.send(&frame, &many)?;
                }
                self.end(&Value::Null)
            }
            "described again" => {
                for _ in 0..10 {
                    process.say(DESCRIPTION)?;
                }
                Ok(())
            }
            "something that is not open" => self.ask(1, json!({"NextPart": {"opened": 99}})),
            "a slot that is none" => {
                self.ask(1, json!({"Create": {"path": "a"}}))?;
                self.ask(2, json!({"Write": {"opened": 1, "slot": 4_000_000_000_u32, "length": 10}}))
            }
            "a length that is none" => {
                self.ask(1, json!({"Create": {"path": "a"}}))?;
                self.ask(2, json!({"Write": {"opened": 1, "slot": 0, "length": 4_000_000_000_u32}}))
            }
            "writes of nothing" => {
                self.ask(1, json!({"Create": {"path": "a"}}))?;
                self.ask(2, json!({"Write": {"opened": 1, "slot": 0, "length": 0}}))
            }
            "one slot for all" => {
                self.ask(1, json!({"Open": {"cid": "scan"}}))?;
                (2..100_000)
                    .try_for_each(|ask| self.ask(ask, json!({"Read": {"opened": 1, "slot": 0, "max": 1}})))
            }
            "a slot to read into that is none" => {
                self.ask(1, json!({"Open": {"cid": "scan"}}))?;
                self.ask(2, json!({"Read": {"opened": 1, "slot": 4_000_000_000_u32, "max": 1}}))
            }
            "asks without end" => {
                self.ask(1, json!({"Open": {"cid": "scan"}}))?;
                (2..100_000).try_for_each(|ask| self.ask(ask, json!({"NextPart": {"opened": 1}})))
            }
            "one number for all" => (1..3).try_for_each(|_| self.ask(1, json!({"Open": {"cid": "scan"}}))),
            "a CID without end" => self.ask(1, json!({"Open": {"cid": "x".repeat(1 << 20)}})),
            "a path without end" => self.ask(1, json!({"Create": {"path": "x".repeat(1 << 20)}})),
            "a name without end" => {
                self.ask(1, json!({"Create": {"path": "a", "name": "x".repeat(1 << 20)}}))
            }
            "a request without end" => {
                let headers: Vec<_> = (0..5_000).map(|n| json!([n.to_string(), []])).collect();
                let request = json!({"method": "GET", "uri": "http://a", "headers": headers, "has_body": false,
                                     "connect_timeout_ms": null, "first_byte_timeout_ms": null});
                self.ask(1, json!({"Request": request}))
            }
            "a report that nobody can read" => {
                process.say(&format!(r#"{{"Progress":{{"call":{},"json":1e999}}}}"#, self.call))
            }
            "a line without end" => self
                .say(json!({"Line": {"call": self.call, "stream": "Stdout", "level": "Info",
                                         "text": "x\n".repeat(1 << 20)}})),
            "dropped without end" => {
                for _ in 0..20_000 {
                    self.say(json!({"EventsDropped": {"call": self.call, "count": 1_u64 << 60}}))?;
                }
                self.end(&Value::Null)
            }
            "asks of what has failed" => {
                self.ask(1, json!({"Open": {"cid": "somebody else's"}}))?;
                (2..100_000).try_for_each(|ask| self.ask(ask, json!({"NextPart": {"opened": 1}})))
            }
            "inputs without end" => {
                (1..10_000).try_for_each(|ask| self.ask(ask, json!({"Open": {"cid": "scan"}})))
            }
            "artifacts without end" => (1..10_000).try_for_each(|ask| {
                self.ask(ask, json!({"Create": {"path": format!("a{ask}")}}))?;
                self.say(json!({"Close": {"call": self.call, "opened": ask}}))
            }),
            "output without end" => {
                self.ask(1, json!({"Create": {"path": "a"}}))?;
                for ask in 2..100_000 {
                    let write = json!({"opened": 1, "slot": ask % 8, "length": 1 << 20});
                    self.ask(ask, json!({ "Write": write }))?;
                    process.hear()?;
                }
                Ok(())
            }
            "a huge report" => self.say(json!({"Progress": {"call": self.call, "json": "x".repeat(30_000)}})),
            "requests" => {
                let request = json!({"method": "GET", "uri": self.meta["uri"], "headers": [], "has_body": false,
                                     "connect_timeout_ms": null, "first_byte_timeout_ms": null});
                self.ask(1, json!({"Request": request}))
            }
            "another's call" => {
                self.say(json!({"Ended": {"call": self.call + 1, "result": {"Ok": null}}}))?;
                self.end(&Value::Null)
            }
            "lines without end" => {
                for _ in 0..200_000 {
                    self.say(json!({"Line": {"call": self.call, "stream": "Stdout", "level": "Error", "text": "x\u{1b}[2Jy"}}))?;
                }
                self.end(&Value::Null)
            }
            "a huge reason" => {
                let reason = "x\n".repeat(10_000);
                let failure =
                    json!({"kind": "trap", "blame": "server", "reason": reason, "details": {"a": "b"}});
                self.say(json!({"Ended": {"call": self.call, "result": {"Err": failure}}}))
            }
            "silence" => Ok(()),
            "talk without end" => loop {
                self.say(json!({"Usage": {"call": self.call, "used": {}}}))?;
            },
            "abort" => std::process::abort(),
            "crash" => {
                // SAFETY: none; that is the point.
                unsafe { std::ptr::null_mut::<u8>().write_volatile(1) };
                Ok(())
            }
            other => self.end(&json!({ "unknown": other })),
        }
    }
}

fn wait_for_ever() -> ! {
    loop {
        std::thread::sleep(std::time::Duration::from_secs(60));
    }
}

/// Memory that no limit of a process counts.
fn shared_memory() -> io::Result<()> {
    let (both, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
    // SAFETY: new memory, which nobody uses.
    let at = unsafe { libc::mmap(std::ptr::null_mut(), 4096, both, flags, -1, 0) };
    if at == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// How many threads and processes this user may have, as far as this process is concerned.
fn most_threads() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limit lives as long as the call.
    unsafe { libc::prlimit(0, libc::RLIMIT_NPROC, std::ptr::null(), &raw mut limit) };
    limit.rlim_cur
}

fn executable_memory() -> io::Result<()> {
    let all = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    // SAFETY: new memory, which nobody uses.
    let at = unsafe {
        libc::mmap(std::ptr::null_mut(), 4096, all, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
    };
    if at == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn lift_limit() -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: libc::RLIM_INFINITY, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the limit lives as long as the call.
    if unsafe { libc::setrlimit(libc::RLIMIT_DATA, &raw const limit) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn much_memory(bytes: u64) -> io::Result<()> {
    let both = libc::PROT_READ | libc::PROT_WRITE;
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    // SAFETY: new memory, which nobody uses.
    let at = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            bytes,
            both,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if at == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn is_open(fd: i32) -> bool {
    // SAFETY: asks only.
    unsafe { libc::fcntl(fd, libc::F_GETFD) != -1 }
}
