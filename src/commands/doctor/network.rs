//! Names, connections, certificates and clocks of the services.

use std::time::{Duration, Instant};

use futures_util::future;
use http::Method;
use tokio::time::timeout;
use url::Url;

use super::finding::{Finding, State};
use crate::auth::secret::masked_address;
use crate::ctx::Ctx;
use crate::error::Error;
use crate::http::{self as transport, Client, Request};
use crate::settings::{Origin, Service, Settings};

/// Clocks that are further apart are worth a word, in seconds.
const NOTABLE_SKEW: u64 = 60;

/// How the attempt to reach a service went.
struct Attempt {
    service: Service,
    url: String,
    /// The proxy that was used.
    proxy: Option<String>,
    /// Why the name was not found.
    unresolved: Option<String>,
    result: Result<Answer, transport::Error>,
}

struct Answer {
    took: Duration,
    /// The service's clock less ours, in seconds.
    skew: Option<i64>,
}

/// Reaches for every service at once; what was found is added, the services that answered are returned.
pub(super) async fn check(ctx: &Ctx, limit: Duration, findings: &mut Vec<Finding>) -> Vec<Service> {
    let Ok(settings) = ctx.settings() else { return Vec::new() };
    let (options, client) = match ctx.http_options().and_then(|options| Ok((options, ctx.http_client()?))) {
        Ok(both) => both,
        Err(error) => {
            findings.push(Finding::failed("network", &error));
            return Vec::new();
        }
    };
    let attempts = services(settings).into_iter().map(|(service, url)| attempt(client, &options.proxy, service, url, limit));
    let attempts = future::join_all(attempts).await;
    if attempts.is_empty() {
        return Vec::new();
    }
    findings.push(names(&attempts));
    findings.push(certificates(&attempts, settings.verify_tls));
    findings.extend(attempts.iter().map(endpoint));
    findings.push(clock(&attempts));
    attempts.iter().filter(|attempt| attempt.result.is_ok()).map(|attempt| attempt.service).collect()
}

/// The services with an endpoint; those guessed from the region only where ModelArts itself is reached by the region.
fn services(settings: &Settings) -> Vec<(Service, String)> {
    let is_by_region = settings.endpoint(Service::ModelArts).is_ok_and(|endpoint| endpoint.origin == Origin::Region);
    let known = Service::ALL.into_iter().filter_map(|service| Some((service, settings.endpoint(service).ok()?)));
    known
        .filter(|(_, endpoint)| is_by_region || endpoint.origin != Origin::Region)
        .map(|(service, endpoint)| (service, endpoint.value.clone()))
        .collect()
}

async fn attempt(
    client: &Client,
    proxy: &transport::proxy::Options,
    service: Service,
    url: String,
    limit: Duration,
) -> Attempt {
    let mut made = Attempt { service, url, proxy: None, unresolved: None, result: Ok(Answer { took: limit, skew: None }) };
    let invalid = |message: String| Err(transport::Error::Invalid(message));
    let parsed = match Url::parse(&made.url) {
        Ok(parsed) => parsed,
        Err(error) => {
            return Attempt { result: invalid(format!("[{}] is no URL: {error}", masked_address(&made.url))), ..made };
        }
    };
    let host = parsed.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = parsed.port_or_known_default().unwrap_or(443);
    made.proxy = proxy.for_url(&parsed).ok().flatten().map(|proxy| proxy.address.clone());
    let late = || transport::Error::Timeout { host: format!("{host}:{port}"), seconds: limit.as_secs() };
    let reach = async {
        if made.proxy.is_none()
            && let Err(error) = tokio::net::lookup_host((host.as_str(), port)).await
        {
            made.unresolved = Some(error.to_string());
        }
        let started = Instant::now();
        let answer = client.send(Request::new(Method::GET, parsed)).await?;
        Ok(Answer { took: started.elapsed(), skew: answer.skew() })
    };
    made.result = timeout(limit, reach).await.unwrap_or_else(|_| Err(late()));
    made
}

fn names(attempts: &[Attempt]) -> Finding {
    let missing: Vec<_> = attempts.iter().filter_map(|attempt| Some((attempt, attempt.unresolved.as_ref()?))).collect();
    let Some((first, why)) = missing.first() else {
        let proxies = attempts.iter().filter(|attempt| attempt.proxy.is_some()).count();
        let by_proxy = if proxies == 0 { String::new() } else { format!(", {proxies} left to the proxy") };
        return Finding::new("dns", State::Ok, format!("{} names found{by_proxy}", attempts.len() - proxies));
    };
    let hosts: Vec<String> = missing.iter().map(|(attempt, _)| masked_address(&attempt.url)).collect();
    Finding::new("dns", State::Fail, format!("no address for {}: {why}", hosts.join(", ")))
        .remedy(format!("check the network and the name server, as with: getent hosts {}", host_of(&first.url)))
        .remedy("behind a proxy, set HTTPS_PROXY")
}

fn certificates(attempts: &[Attempt], is_verified: bool) -> Finding {
    let secure = attempts.iter().filter(|attempt| attempt.url.starts_with("https:"));
    let is_local = |url: &str| Url::parse(url).is_ok_and(|url| url.host_str().is_some_and(transport::proxy::is_loopback));
    let are_local = attempts.iter().all(|attempt| attempt.url.starts_with("http:") && is_local(&attempt.url));
    let broken = attempts.iter().find_map(|attempt| match &attempt.result {
        Err(error @ transport::Error::Tls { .. }) => Some(error.duplicate()),
        _ => None,
    });
    match (broken, secure.filter(|attempt| attempt.result.is_ok()).count()) {
        (Some(error), _) => Finding::failed("tls", &Error::from(error)),
        (None, _) if !is_verified => Finding::new("tls", State::Warn, "certificates are not checked in this run")
            .remedy("leave out --no-verify-ssl; name the issuer with --ca-bundle FILE"),
        (None, 0) if are_local => Finding::new("tls", State::Ok, "all services are on this machine, without TLS"),
        (None, 0) => Finding::new("tls", State::Warn, "not checked: no service was reached by TLS"),
        (None, count) => Finding::new("tls", State::Ok, format!("{count} certificates are trusted")),
    }
}

fn endpoint(attempt: &Attempt) -> Finding {
    let check = format!("endpoint {}", attempt.service.name());
    match &attempt.result {
        Ok(answer) => {
            let by_proxy = attempt.proxy.as_ref().map(|proxy| format!(" through {proxy}")).unwrap_or_default();
            let message = format!("[{}] answered in {} ms{by_proxy}", masked_address(&attempt.url), answer.took.as_millis());
            Finding::new(&check, State::Ok, message)
        }
        Err(error) => {
            let mut finding = Finding::failed(&check, &Error::from(error.duplicate()));
            // Few need these two.
            if matches!(attempt.service, Service::Swr | Service::Dli) {
                finding.state = State::Warn;
            }
            finding
        }
    }
}

fn clock(attempts: &[Attempt]) -> Finding {
    let skews = attempts.iter().filter_map(|attempt| attempt.result.as_ref().ok()?.skew);
    let Some(skew) = skews.min_by_key(|skew| skew.abs()) else {
        return Finding::new("clock", State::Warn, "not checked: no service told its time");
    };
    judge(skew)
}

fn judge(skew: i64) -> Finding {
    let apart = skew.unsigned_abs();
    let direction = if skew > 0 { "behind" } else { "ahead of" };
    let message = format!("this machine is {apart} s {direction} the services");
    let state = match apart {
        apart if apart > transport::client::WORST_SKEW => State::Fail,
        apart if apart > NOTABLE_SKEW => State::Warn,
        _ => return Finding::new("clock", State::Ok, "this machine and the services agree"),
    };
    Finding::new("clock", state, message)
        .remedy("set the clock, as with: timedatectl set-ntp true; signatures hold for 15 minutes")
}

fn host_of(url: &str) -> String {
    Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{State, judge};

    #[test]
    fn clocks_are_judged_by_what_signatures_bear() {
        let cases = [(0, State::Ok), (-60, State::Ok), (61, State::Warn), (-900, State::Warn), (901, State::Fail)];
        for (skew, state) in cases {
            assert_eq!(judge(skew).state, state, "{skew}");
        }
    }
}
