//! A defect of ours, told like any other error.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{self, AssertUnwindSafe, Location};

use crate::error::{Error, Kind};
use crate::ui::Ui;

/// From now on a panic of any thread is reported as an error of [`Kind::Internal`] would be: one line of JSON where a program reads.
pub fn report_to(ui: Ui) {
    panic::set_hook(Box::new(move |info| {
        ui.report(&error(info.payload_as_str(), info.location()));
        // Of those who develop this tool.
        let trace = Backtrace::capture();
        if trace.status() == BacktraceStatus::Captured {
            ui.note(&trace.to_string());
        }
    }));
}

/// What `work` comes to; `None` when it panicked, which was reported.
pub fn caught<T>(work: impl FnOnce() -> T) -> Option<T> {
    panic::catch_unwind(AssertUnwindSafe(work)).ok()
}

fn error(message: Option<&str>, place: Option<&Location<'_>>) -> Error {
    let place = place.map(|place| format!(" ({}:{})", place.file(), place.line())).unwrap_or_default();
    Error::new(Kind::Internal, format!("this is a defect of ma-cli: {}{place}", message.unwrap_or("it panicked")))
        .hint("report it with the command that led to it; ma-cli version says of which build")
}

#[cfg(test)]
mod tests {
    use std::panic::Location;

    use super::{caught, error};
    use crate::error::Kind;
    use crate::ui::report;

    #[test]
    fn a_panic_is_an_error_with_its_place() {
        assert_eq!((caught(|| 1), caught(|| -> u8 { panic!("on purpose") })), (Some(1), None));
        let here = Location::caller();
        let error = error(Some("index out of bounds"), Some(here));
        assert_eq!((error.kind, error.kind.exit_code()), (Kind::Internal, 1));
        let line = report::json(&error);
        assert!(line.lines().count() == 1 && line.contains("index out of bounds (src/ui/defect.rs:"), "{line}");
    }
}
