//! Describes itself with an escape sequence for terminals.
struct Runner;
impl guests::Guest for Runner {
    fn describe() -> guests::Description {
        guests::Description { summary: "\u{1b}[2Jall is well".into(), ..guests::describe("rude_describe") }
    }
    fn run(_: guests::Task) -> Result<(), guests::Error> {
        Ok(())
    }
}
guests::export!(Runner with_types_in guests);
