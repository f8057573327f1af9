//! `ma-cli platform stop`.

use std::time::Duration;

use serde_json::json;

use super::{StopArgs, failure, status};
use crate::ctx::Ctx;
use crate::error::{Error, Kind};
use crate::platform::instance::{self, Status};

/// How long a platform may take to end: longer than it lets requests finish.
const ENDED_WITHIN: Duration = Duration::from_secs(30);

/// Pause between two looks whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Tells the platform to end and waits for it; one that does not run is no error.
pub(super) async fn run(ctx: &Ctx, args: StopArgs) -> Result<(), Error> {
    let data_dir = args.place.resolve(ctx);
    let record = match status::settled(&data_dir, ENDED_WITHIN).await? {
        Status::Stopped => return ctx.ui.done("The platform is not running", json!({"state": "stopped"})),
        Status::Busy => {
            return Err(Error::new(Kind::Timeout, format!("the platform in [{}] is starting or ending", data_dir.display())));
        }
        Status::Running(record) => record,
    };
    let refused = |error| Error::new(Kind::Local, format!("cannot end process {}", record.pid)).caused_by(error);
    record.terminate().map_err(refused)?;
    let ended = async {
        loop {
            match instance::status(&data_dir).map_err(failure::explain)? {
                Status::Running(other) if other == record => {}
                Status::Busy => {}
                _ => return Ok(()),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    match tokio::time::timeout(ENDED_WITHIN, ended).await {
        Ok(result) => result.and_then(|()| ctx.ui.done("The platform is stopped", json!({"state": "stopped"}))),
        Err(_) => {
            let message = format!("the platform (pid {}) has not ended within {} seconds", record.pid, ENDED_WITHIN.as_secs());
            Err(Error::new(Kind::Timeout, message)
                .hint(format!("end it with `kill -9 {}`: nothing stored is lost", record.pid)))
        }
    }
}
