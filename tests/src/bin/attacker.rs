//! A sandbox process under the full control of an attacker: behind the same locks as any other, it tries what the task's
//! parameters name, and tells in the task's failure what came of it.

#![allow(unsafe_code, reason = "it makes the system calls that no honest process makes")]

use std::fs::File;
use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd};
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
        for (what, number, [a, b, c, d, e]) in calls {
            // SAFETY: each is refused before it does anything, which is what is tested; none touches this memory.
            let result = unsafe { libc::syscall(*number, *a, *b, *c, *d, *e) };
            let refused = io::Error::last_os_error().raw_os_error() == Some(libc::EPERM);
            // Another error would mean that the kernel has looked at the arguments.
            note(
                what,
                if result == -1 && refused { Err(io::ErrorKind::PermissionDenied.into()) } else { Ok(()) },
            );
        }
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
        })
    }

    /// Says what an honest process would not.
    fn lie(&self, how: &str) -> io::Result<()> {
        let process = self.process;
        match how {
            "no JSON" => process.say("hello"),
            "no frame" => process.send(&[7; 100], &[]),
            "an unknown word" => process.say(r#"{"Secrets":{}}"#),
            "a huge frame" => {
                let file = memory_file(5 << 20)?;
                process.send(&[1], &[file.as_fd()])
            }
            "an endless frame" => {
                let file = memory_file(1 << 50)?;
                process.send(&[1], &[file.as_fd()])
            }
            "a frame that is no file" => process.send(&[1], &[process.channel()]),
            "descriptors" => {
                let file = memory_file(1)?;
                let many: Vec<_> = (0..60).map(|_| file.as_fd()).collect();
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
            "asks without end" => {
                self.ask(1, json!({"Open": {"cid": "scan"}}))?;
                (2..100_000)
                    .try_for_each(|ask| self.ask(ask, json!({"Read": {"opened": 1, "slot": 0, "max": 1}})))
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
                    self.ask(ask, json!({"Write": {"opened": 1, "slot": 0, "length": 1 << 20}}))?;
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

fn memory_file(bytes: u64) -> io::Result<File> {
    // SAFETY: the name ends with a zero, and the descriptor is new.
    let file = unsafe {
        let fd = libc::memfd_create(c"attack".as_ptr(), 0);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        File::from_raw_fd(fd)
    };
    // Too large a file is a signal for most processes, and an error where that is refused.
    let _ = file.set_len(bytes);
    Ok(file)
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
