//! Describes itself with more capabilities than a runner may have.
struct Runner;
impl guests::Guest for Runner {
    fn describe() -> guests::Description {
        let capabilities = (0..50_000).map(|n| format!("/posemesh/test/greedy/v{n}")).collect();
        guests::Description { capabilities, ..guests::describe("greedy_describe") }
    }
    fn run(_: guests::Task) -> Result<(), guests::Error> {
        Ok(())
    }
}
guests::export!(Runner with_types_in guests);
