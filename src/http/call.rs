//! A request with its retries: prepared (and so signed) anew for each attempt.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use time::OffsetDateTime;

use crate::http::proxy::is_loopback;
use crate::http::retry::{Class, Policy, Schedule, classify_error, classify_status};
use crate::http::{Answer, Client, Error, Request};

/// Retries of the control planes: four attempts wait a second or two in all. Their callers are people and scripts that would rather
/// hear of a fault than wait for it to pass.
pub const POLICY: Policy =
    Policy { attempts: 4, elapsed: Duration::from_secs(60), base: Duration::from_millis(300), cap: Duration::from_secs(10) };

impl Client {
    /// As [`Client::call`]; gives the last request too, for what it was authorized with.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub async fn call_and_tell<F, E>(&self, prepare: impl Fn() -> F + Send + Sync) -> Result<(Answer, Request), E>
    where
        F: Future<Output = Result<Request, E>> + Send,
        E: From<Error> + Send,
    {
        let last = Mutex::new(None);
        let remember = || async {
            let request = prepare().await?;
            *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(request.clone());
            Ok::<_, E>(request)
        };
        let answer = self.call(remember).await?;
        let sent = last.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok((answer, sent.expect("an answer follows a request")))
    }

    /// Sends what `prepare` makes until there is an answer worth keeping or [`POLICY`], with the attempts of the client's options,
    /// is used up.
    ///
    /// A request that is not idempotent is sent again only when it cannot have been carried out: no connection came about, or the
    /// service answered 429. A refused connection to this machine is final: nothing is on its way up.
    ///
    /// # Errors
    /// Those of `prepare`, and [`Error`] when the last attempt had no answer.
    pub async fn call<F, E>(&self, prepare: impl Fn() -> F + Send) -> Result<Answer, E>
    where
        F: Future<Output = Result<Request, E>> + Send,
        E: From<Error>,
    {
        let mut schedule = Schedule::start(Policy { attempts: self.options().attempts, ..POLICY });
        loop {
            let request = prepare().await?;
            let repeatable = request.is_idempotent() || request.repeatable;
            let loopback = request.url.host_str().is_some_and(is_loopback);
            let result = self.send(request).await;
            let class = match &result {
                Ok(answer) if repeatable || answer.status.as_u16() == 429 => {
                    classify_status(answer.status.as_u16(), answer.header("retry-after"), OffsetDateTime::now_utc())
                }
                Err(Error::Connect { .. }) if loopback => Class::Fatal,
                Err(error @ (Error::Connect { .. } | Error::Proxy { .. })) => classify_error(error),
                Err(error) if repeatable => classify_error(error),
                _ => Class::Fatal,
            };
            match schedule.next_wait(class) {
                Some(wait) => {
                    let reason = match &result {
                        Ok(answer) => answer.status.to_string(),
                        Err(error) => error.to_string(),
                    };
                    tracing::debug!("attempt {} follows in {} ms: {reason}", schedule.attempts(), wait.as_millis());
                    tokio::time::sleep(wait).await;
                }
                None => return Ok(result?),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Method;
    use url::Url;

    use crate::http::testing::{Script, Server};
    use crate::http::{Client, Error, Options, Request};

    async fn statuses(method: Method, scripts: Vec<Script>) -> (u16, usize) {
        let server = Server::start(scripts);
        let client = Client::new(Options::default());
        let url = Url::parse(&server.endpoint).unwrap();
        let answer = client.call(|| async { Ok::<_, Error>(Request::new(method.clone(), url.clone())) }).await.unwrap();
        (answer.status.as_u16(), server.seen().len())
    }

    #[tokio::test]
    async fn only_what_may_be_repeated_is_repeated() {
        let busy = || Script::new(429, "{}").header("Retry-After", "0");
        let down = || Script::new(503, "{}");
        let fine = || Script::new(200, "{}");
        assert_eq!(statuses(Method::GET, vec![down(), busy(), fine()]).await, (200, 3));
        assert_eq!(statuses(Method::GET, vec![down(), down(), down(), down(), fine()]).await, (503, 4));
        assert_eq!(statuses(Method::POST, vec![busy(), fine()]).await, (200, 2));
        assert_eq!(statuses(Method::POST, vec![down(), fine()]).await, (503, 1));
        assert_eq!(statuses(Method::GET, vec![Script::new(403, "{}"), fine()]).await, (403, 1));
    }
}
