//! Prints 100,000 lines, one of them with an escape sequence for terminals.
guests::runner!("log_flood", |_| {
    println!("first\x1b[2J line");
    for n in 0..100_000 {
        println!("line {n} of a runner that talks too much");
    }
    Err(guests::Error::Failed("done talking".into()))
});
