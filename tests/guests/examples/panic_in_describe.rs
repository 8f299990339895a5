//! Panics while it describes itself.
use guests::{Description, Error, Guest, Task};
struct Runner;
impl Guest for Runner {
    fn describe() -> Description {
        println!("about to look for the model");
        panic!("the model is not where it should be");
    }
    fn run(_: Task) -> Result<(), Error> {
        Ok(())
    }
}
guests::export!(Runner with_types_in guests);
