//! Loops without end in `describe`.
struct Runner;
impl guests::Guest for Runner {
    fn describe() -> guests::Description {
        loop {
            std::hint::black_box(0);
        }
    }
    fn run(_: guests::Task) -> Result<(), guests::Error> {
        Ok(())
    }
}
guests::export!(Runner with_types_in guests);
