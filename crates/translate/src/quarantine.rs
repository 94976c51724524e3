//! A fault of ours in one object's path ends there. Release builds unwind, so that this works there too.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs it; a panic comes back as its message.
///
/// What is passed in is either immutable or thrown away with the result, so no half-made state is seen.
pub(crate) fn quarantine<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|payload| message(&*payload))
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_message() {
        assert_eq!(quarantine(|| 1), Ok(1));
        assert_eq!(quarantine::<()>(|| panic!("planted")), Err("planted".to_owned()));
        assert_eq!(quarantine::<()>(|| panic!("planted {}", 2)), Err("planted 2".to_owned()));
    }
}
