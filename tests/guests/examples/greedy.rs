//! Makes the host hold things, or hands it too much, in the way that `meta` names; most of them without end.
use guests::{Error, control, failed};
use wasip2::clocks::monotonic_clock::subscribe_duration;
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{Descriptor, DescriptorFlags, OpenFlags, PathFlags};
use wasip2::http::outgoing_handler::handle;
use wasip2::http::types::{Fields, Method, OutgoingRequest};
use wasip2::sockets::network::IpAddressFamily;

type End = Result<(), Error>;

const MIB: usize = 1 << 20;

fn request() -> OutgoingRequest {
    OutgoingRequest::new(Fields::new())
}

/// Bodies that are written and never sent.
fn bodies() -> End {
    let mut held = Vec::new();
    loop {
        let request = request();
        let body = request.body().map_err(failed)?;
        let stream = body.write().map_err(failed)?;
        loop {
            match stream.check_write().map_err(failed)? {
                0 => break,
                room => stream.write(&vec![7; room as usize]).map_err(failed)?,
            }
        }
        held.push((stream, body, request));
    }
}

/// Methods with names of 4 MiB.
fn methods() -> End {
    let (mut held, method) = (Vec::new(), Method::Other("M".repeat(4 * MIB)));
    loop {
        let request = request();
        request.set_method(&method).map_err(failed)?;
        held.push(request);
    }
}

/// Headers, each set nearly as full as it may be.
fn headers() -> End {
    let mut held = Vec::new();
    loop {
        held.push(fields(12)?);
    }
}

/// More headers in one set than it may have.
fn header() -> End {
    fields(20).map(drop)
}

/// So many headers of 5,000 bytes.
fn fields(count: usize) -> Result<Fields, Error> {
    let (fields, value) = (Fields::new(), vec![b'v'; 5000]);
    (0..count).try_for_each(|n| fields.append(&format!("x-{n}"), &value)).map_err(failed)?;
    Ok(fields)
}

/// Requests to where it may not go, and the answers kept.
fn denied() -> End {
    let mut held = Vec::new();
    loop {
        let request = request();
        request.set_authority(Some("example.com")).map_err(failed)?;
        request.set_path_with_query(Some("/")).map_err(failed)?;
        held.push(handle(request, None).map_err(failed)?);
    }
}

fn work() -> Result<Descriptor, Error> {
    let work = get_directories().into_iter().find(|(_, name)| name == "/work").map(|(work, _)| work);
    work.ok_or(Error::Failed("no /work".into()))
}

/// The same large folder, listed over and over.
fn listings() -> End {
    let name = "n".repeat(240);
    for n in 0..1000 {
        std::fs::write(format!("/work/{name}{n}"), "").map_err(failed)?;
    }
    let (mut held, work) = (Vec::new(), work()?);
    loop {
        held.push(work.read_directory().map_err(failed)?);
    }
}

/// Streams of a file, each read once.
fn streams() -> End {
    std::fs::write("/work/file", vec![0; MIB]).map_err(failed)?;
    let (mut held, file) = (Vec::new(), open(&work()?)?);
    loop {
        let stream = file.read_via_stream(0).map_err(failed)?;
        stream.blocking_read(MIB as u64).map_err(failed)?;
        held.push(stream);
    }
}

fn open(work: &Descriptor) -> Result<Descriptor, Error> {
    work.open_at(PathFlags::empty(), "file", OpenFlags::empty(), DescriptorFlags::READ).map_err(failed)
}

/// Descriptors of one file.
fn descriptors() -> End {
    std::fs::write("/work/file", "x").map_err(failed)?;
    let (mut held, work) = (Vec::new(), work()?);
    loop {
        held.push(open(&work)?);
    }
}

fn sockets() -> End {
    let mut held = Vec::new();
    for _ in 0..100_000 {
        let socket = wasip2::sockets::tcp_create_socket::create_tcp_socket(IpAddressFamily::Ipv4);
        held.push(socket.map_err(failed)?);
    }
    Ok(())
}

/// One timer, waited for a million times in one list.
fn pollables() -> End {
    let timer = subscribe_duration(0);
    let ready = wasip2::io::poll::poll(&vec![&timer; 1_000_000]);
    Err(Error::Failed(format!("{} are ready", ready.len())))
}

/// 20 MiB in one call.
fn message() -> End {
    control::log(control::LogLevel::Info, &"m".repeat(20 * MIB));
    Ok(())
}

fn random() -> End {
    std::hint::black_box(wasip2::random::random::get_random_bytes(2 << 20));
    Ok(())
}

/// 80 MB on standard output, and no end of a line.
fn endless_line() -> End {
    let (stdout, block) = (wasip2::cli::stdout::get_stdout(), [b'x'; 4096]);
    (0..20_000).try_for_each(|_| stdout.blocking_write_and_flush(&block)).map_err(failed)
}

/// 8 MiB in one line of the log, over and over, and as events and progress, which are refused.
fn giant_texts() -> End {
    let text = "g".repeat(8 * MIB);
    let json = format!("\"{text}\"");
    for _ in 0..3 {
        control::log(control::LogLevel::Info, &text);
        if control::progress(&json).is_ok() || control::log_event(&json).is_ok() {
            return Err(Error::Failed("8 MiB were taken as a report".into()));
        }
    }
    Ok(())
}

fn artifacts() -> End {
    for n in 0u64.. {
        guests::outputs::put_bytes(&format!("{n}.bin"), b"x", &guests::plain())?;
    }
    Ok(())
}

guests::runner!("greedy", |task: guests::Task| {
    let hold = match task.meta.trim_matches('"') {
        "bodies" => bodies,
        "methods" => methods,
        "headers" => headers,
        "header" => header,
        "denied" => denied,
        "listings" => listings,
        "streams" => streams,
        "descriptors" => descriptors,
        "sockets" => sockets,
        "pollables" => pollables,
        "message" => message,
        "random" => random,
        "endless_line" => endless_line,
        "giant_texts" => giant_texts,
        "artifacts" => artifacts,
        other => return Err(failed(other)),
    };
    hold()
});
