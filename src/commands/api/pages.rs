//! `--paginate`: the ways in which the control planes cut lists into pages.

use serde_json::{Value, json};

use crate::api::{self, Api, Request};
use crate::commands::api::answer::{list, place, token, total};
use crate::error::{Error, Kind};

/// Most requests for one list; what needs more has stopped to move.
const MOST_PAGES: u64 = 100_000;

/// How a list goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paging {
    /// A number in this parameter, from `first` on, which counts records or pages.
    Number {
        /// Name of the parameter.
        parameter: &'static str,
        /// Its value on the first page.
        first: u64,
        /// Whether it counts pages.
        counts_pages: bool,
    },
    /// A token of the last answer, in this parameter.
    Token(&'static str),
}

/// Parts of paths of ModelArts whose lists count pages; all others count records.
const BY_PAGE: [&str; 12] = [
    "/training-job-searches",
    "/training-experiments",
    "/autosearch-trials",
    "/events",
    "/workspaces",
    "/authorizations",
    "/models",
    "/v1/{project_id}/services",
    "/datasets",
    "/versions",
    "/import-tasks",
    "/export-tasks",
];

impl Paging {
    /// The way of that path of a service.
    pub(super) fn of(service: &str, path: &str) -> Self {
        let number = |parameter, first, counts_pages| Self::Number { parameter, first, counts_pages };
        let has = |parts: &[&str]| parts.iter().any(|part| path.contains(part));
        match service {
            "iam" => number("page", 1, true),
            "swr" if has(&["/v3/manage"]) => Self::Token("marker"),
            "dli" if has(&["/batches", "/sessions"]) => number("from", 0, false),
            "dli" if has(&["/streaming", "/elastic-resource-pools"]) => number("offset", 0, false),
            "dli" if has(&["/jobs", "/templates"]) => number("current-page", 1, true),
            "modelarts" if has(&["/networks", "/resourceflavors", "/nodes"]) => Self::Token("continue"),
            "modelarts" => number("offset", 0, has(&BY_PAGE)),
            _ => number("offset", 0, false),
        }
    }

    /// Asks for page after page, from the number that the request names on if it names one; the items of all of them. `warn` is told
    /// when the list may be longer than what comes.
    ///
    /// # Errors
    /// The service refuses, answers no list, or sends the same page again where more was promised.
    pub(super) async fn all(self, api: &Api, asked: &Asked, warn: impl Fn(&str)) -> Result<Vec<Value>, Error> {
        let send = async |page: Page| Ok(api.send(page.of(&asked.request)).await?.document);
        self.gather(asked, send, warn).await
    }

    async fn gather(
        self,
        asked: &Asked,
        send: impl AsyncFn(Page) -> Result<Value, api::Error>,
        warn: impl Fn(&str),
    ) -> Result<Vec<Value>, Error> {
        let (Self::Token(parameter) | Self::Number { parameter, .. }) = self;
        let mut next = asked.named(parameter)?;
        let start = match (self, &next) {
            (Self::Number { .. }, Some(written)) => number(parameter, written)?,
            (Self::Number { first, .. }, None) => first,
            (Self::Token(_), _) => 0,
        };
        let mut list = Gathered::default();
        for _ in 0..MOST_PAGES {
            let document = match send(asked.page(parameter, next.as_ref())).await {
                Err(error) if list.is_guess && is_no_page(&error) => {
                    warn(&format!("there may be more than these {}: the service refuses to go on ({error})", list.items.len()));
                    return Ok(list.items);
                }
                sent => sent?,
            };
            match list.add(&document, self, start)? {
                State::GoesOn => {}
                State::Ended => return Ok(list.items),
                State::Short { total } => {
                    warn(&format!("the service speaks of {total} items and sends {}", list.items.len()));
                    return Ok(list.items);
                }
            }
            next = match self {
                Self::Token(_) => token(&document).filter(|token| next.as_ref() != Some(token)),
                Self::Number { counts_pages: true, .. } => Some(json!(start + list.pages)),
                Self::Number { .. } => Some(json!(start + list.items.len() as u64)),
            };
            if next.is_none() {
                return Err(Error::new(Kind::Service, "the service names the same next page again and again"));
            }
        }
        Err(Error::new(Kind::Service, format!("the list has no end: {MOST_PAGES} pages were asked for")))
    }
}

/// What a user asks for, without the number of the page.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) request: Request,
    pub(super) query: Vec<(String, String)>,
    pub(super) body: Option<Value>,
}

impl Asked {
    /// The value of that parameter, where the request names it.
    fn named(&self, parameter: &str) -> Result<Option<Value>, Error> {
        let in_query = self.query.iter().find(|(name, _)| name == parameter);
        match (&self.body, in_query) {
            (_, Some((_, value))) => Ok(Some(json!(value))),
            (Some(Value::Object(members)), None) => Ok(members.get(parameter).filter(|value| !value.is_null()).cloned()),
            (None, None) => Ok(None),
            (Some(_), None) => Err(Error::new(Kind::Usage, "--paginate puts the page into the body, which is no JSON object")
                .hint(format!("add ?{parameter}= with the first page to the path, or leave out --paginate"))),
        }
    }

    /// What is sent for a page; the first is asked for as the user wrote it. The number stands where the user wrote one, else in the
    /// body, if there is one.
    fn page(&self, parameter: &str, next: Option<&Value>) -> Page {
        let is_in_query = self.body.is_none() || self.query.iter().any(|(name, _)| name == parameter);
        let mut query: Vec<_> = self.query.iter().filter(|(name, _)| name != parameter).cloned().collect();
        let mut body = self.body.clone();
        match (next, body.as_mut().and_then(Value::as_object_mut)) {
            (Some(next), _) if is_in_query => {
                query.push((parameter.to_owned(), next.as_str().map_or_else(|| next.to_string(), str::to_owned)));
            }
            (Some(next), Some(members)) => {
                members.insert(parameter.to_owned(), next.clone());
            }
            _ => {}
        }
        Page { query, body }
    }
}

/// What is sent for one page.
#[derive(Debug, PartialEq)]
struct Page {
    query: Vec<(String, String)>,
    body: Option<Value>,
}

impl Page {
    fn of(self, request: &Request) -> Request {
        let request = self.query.iter().fold(request.clone(), |request, (name, value)| request.parameter(name, value));
        match self.body {
            Some(body) => request.body(body).repeatable(),
            None => request,
        }
    }
}

/// The items so far.
#[derive(Debug, Default)]
struct Gathered {
    items: Vec<Value>,
    pages: u64,
    /// Records before the first page that was asked for, as far as that can be told.
    skipped: u64,
    /// The names that lead to the list in the answers.
    place: Option<Vec<String>>,
    /// How many items the last page had.
    last: usize,
    /// How many items there are in all, as the service says.
    total: Option<u64>,
    /// Whether nothing says that there is another page.
    is_guess: bool,
}

/// Whether a list goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    GoesOn,
    Ended,
    /// It ended although there should be so many items.
    Short {
        total: u64,
    },
}

impl Gathered {
    /// Adds the items of an answer; `start` is the number that the first page was asked for with.
    fn add(&mut self, document: &Value, paging: Paging, start: u64) -> Result<State, Error> {
        if self.place.is_none() {
            self.place = place(document);
        }
        let Some(place) = &self.place else {
            return Err(Error::new(Kind::Unsupported, "the answer holds no list, so that there are no pages")
                .hint("leave out --paginate"));
        };
        let found = list(document, place);
        let is_repeated = self.pages > 0 && !found.is_empty() && self.items[self.items.len() - self.last..] == *found;
        if is_repeated && !self.is_guess {
            let message = format!("the service sends the same page again after {} items, and speaks of more", self.items.len());
            return Err(Error::new(Kind::Service, message)
                .hint("its pages are asked for in another way: leave out --paginate and see the API reference"));
        }
        let is_over = is_repeated || (found.is_empty() && !matches!(paging, Paging::Token(_)));
        if is_over {
            let missing = self.total.filter(|total| self.seen() < *total);
            return Ok(missing.map_or(State::Ended, |total| State::Short { total }));
        }
        self.items.extend_from_slice(found);
        (self.pages, self.last) = (self.pages + 1, found.len());
        if let (Paging::Number { first, counts_pages, .. }, 1) = (paging, self.pages) {
            self.skipped = start.saturating_sub(first).saturating_mul(if counts_pages { found.len() as u64 } else { 1 });
        }
        self.total = total(document, found.len());
        let is_more = match (paging, document.get("links")) {
            (Paging::Token(_), _) => Some(token(document).is_some()),
            (_, Some(links)) => Some(links.get("next").is_some_and(|next| !next.is_null())),
            (_, None) => self.total.map(|total| self.seen() < total),
        };
        self.is_guess = is_more.is_none();
        Ok(if is_more == Some(false) { State::Ended } else { State::GoesOn })
    }

    /// The records up to here, those before the first page too.
    fn seen(&self) -> u64 {
        self.skipped + self.items.len() as u64
    }
}

fn number(parameter: &str, written: &Value) -> Result<u64, Error> {
    written
        .as_u64()
        .or_else(|| written.as_str()?.parse().ok())
        .ok_or_else(|| Error::new(Kind::Usage, format!("--paginate counts on from {parameter}, and {written} is no number")))
}

/// Whether a service says with that error that there is no such page.
fn is_no_page(error: &api::Error) -> bool {
    matches!(error, api::Error::Service(refusal) if matches!(refusal.status.as_u16(), 400 | 404 | 416 | 422))
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use http::{Method, StatusCode};
    use serde_json::{Value, json};

    use super::{Asked, Page, Paging};
    use crate::api::{self, Refusal, Request};
    use crate::error::{Error, Kind};

    const RECORDS: Paging = Paging::Number { parameter: "offset", first: 0, counts_pages: false };
    const PAGES: Paging = Paging::Number { parameter: "page", first: 1, counts_pages: true };

    /// What comes of answers, what was asked for, and whether there was a warning.
    async fn paged(
        paging: Paging,
        query: &[(&str, &str)],
        body: Option<Value>,
        answers: Vec<(u16, Value)>,
    ) -> (Result<Vec<Value>, Error>, Vec<String>, bool) {
        let query = query.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let asked = Asked { request: Request::literal(Method::GET, "/l"), query, body };
        let (is_warned, seen, answers) = (Cell::new(false), RefCell::new(Vec::new()), RefCell::new(answers.into_iter()));
        let send = async |page: Page| {
            let query: Vec<String> = page.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
            seen.borrow_mut().push(format!(
                "{}{}",
                query.join("&"),
                page.body.map(|body| body.to_string()).unwrap_or_default()
            ));
            let (status, body) = answers.borrow_mut().next().expect("nobody asks on");
            let status = StatusCode::from_u16(status).unwrap();
            let refusal = || api::Error::Service(Box::new(Refusal::read(status, None, body.to_string().as_bytes())));
            if status.is_success() { Ok(body) } else { Err(refusal()) }
        };
        let items = paging.gather(&asked, send, |_| is_warned.set(true)).await;
        (items, seen.into_inner(), is_warned.get())
    }

    #[tokio::test]
    async fn the_total_decides_and_not_the_size_of_a_page() {
        let page = |items: &[u32]| (200, json!({"items": items, "total": 5}));
        let answers = vec![page(&[1, 2]), page(&[3, 4]), page(&[5])];
        let (items, seen, is_warned) = paged(RECORDS, &[("limit", "100")], None, answers).await;
        assert_eq!((items.unwrap(), is_warned), (vec![json!(1), json!(2), json!(3), json!(4), json!(5)], false));
        assert_eq!(seen, ["limit=100", "limit=100&offset=2", "limit=100&offset=4"]);
        let (items, _, is_warned) = paged(RECORDS, &[], None, vec![page(&[1]), page(&[])]).await;
        assert_eq!((items.unwrap(), is_warned), (vec![json!(1)], true), "what is missing is told");
        let (items, ..) = paged(RECORDS, &[], None, vec![page(&[1]), page(&[1])]).await;
        assert_eq!(items.unwrap_err().kind, Kind::Service, "the service does not know the parameter");
    }

    #[tokio::test]
    async fn without_a_total_the_list_ends_where_nothing_new_comes() {
        let page = |items: &[u32]| (200, json!({"items": items}));
        for (last, is_told) in [(page(&[]), false), (page(&[3]), false), ((400, json!({})), true), ((404, json!({})), true)] {
            let (items, seen, is_warned) = paged(RECORDS, &[], None, vec![page(&[1, 2]), page(&[3]), last]).await;
            assert_eq!((items.unwrap(), is_warned), (vec![json!(1), json!(2), json!(3)], is_told));
            assert_eq!(seen, ["", "offset=2", "offset=3"]);
        }
        assert!(paged(RECORDS, &[], None, vec![page(&[1]), (403, json!({}))]).await.0.is_err());
        assert!(paged(RECORDS, &[], None, vec![(404, json!({}))]).await.0.is_err());
    }

    #[tokio::test]
    async fn the_list_stands_at_the_same_place_on_every_page() {
        let (fields, more) = (json!(["x", "y"]), json!({"next": "n"}));
        let answers = vec![
            (200, json!({"pools": [{"n": 1}], "fields": fields, "links": more})),
            (200, json!({"pools": [{"n": 2}], "fields": fields, "links": {"next": null}})),
        ];
        let (items, seen, _) = paged(PAGES, &[("page", "3")], None, answers).await;
        assert_eq!(items.unwrap(), [json!({"n": 1}), json!({"n": 2})]);
        assert_eq!(seen, ["page=3", "page=4"]);
    }

    #[tokio::test]
    async fn the_number_that_a_user_writes_is_where_the_pages_begin() {
        let page = |items: &[u32]| (200, json!({"items": items, "total": 5}));
        let answers = || vec![page(&[3, 4]), page(&[5])];
        let (items, seen, _) = paged(RECORDS, &[("offset", "2")], None, answers()).await;
        assert_eq!((items.unwrap().len(), seen), (3, vec!["offset=2".to_owned(), "offset=4".to_owned()]));
        let (items, seen, _) = paged(RECORDS, &[], Some(json!({"offset": 2, "limit": 2})), answers()).await;
        assert_eq!(items.unwrap().len(), 3);
        assert_eq!(seen, ["{\"offset\":2,\"limit\":2}", "{\"offset\":4,\"limit\":2}"]);
        // A page of two comes before this one.
        let (items, seen, _) = paged(PAGES, &[("page", "2")], None, vec![page(&[3, 4]), page(&[5])]).await;
        assert_eq!((items.unwrap().len(), seen.len()), (3, 2));
        for (query, body) in [(&[("offset", "x")][..], None), (&[][..], Some(json!([1])))] {
            assert_eq!(paged(RECORDS, query, body, Vec::new()).await.0.unwrap_err().kind, Kind::Usage);
        }
    }

    #[tokio::test]
    async fn a_token_leads_on_past_an_empty_page() {
        let page = |items: &[u32], token: &str| (200, json!({"items": items, "metadata": {"continue": token}}));
        let answers = vec![page(&[1], "a"), page(&[], "b"), page(&[2], "")];
        let (items, seen, _) = paged(Paging::Token("continue"), &[], None, answers).await;
        assert_eq!((items.unwrap(), seen.len()), (vec![json!(1), json!(2)], 3));
        let again = vec![page(&[1], "a"), page(&[2], "a")];
        assert_eq!(paged(Paging::Token("continue"), &[], None, again).await.0.unwrap_err().kind, Kind::Service);
    }

    #[test]
    fn each_service_counts_in_its_way() {
        let number = |parameter, first, counts_pages| Paging::Number { parameter, first, counts_pages };
        assert_eq!(Paging::of("modelarts", "/v2/{project_id}/training-job-searches"), number("offset", 0, true));
        assert_eq!(Paging::of("modelarts", "/v2/{project_id}/algorithms"), number("offset", 0, false));
        assert_eq!(Paging::of("modelarts", "/v1/{project_id}/networks"), Paging::Token("continue"));
        assert_eq!(Paging::of("iam", "/v3/projects"), number("page", 1, true));
    }
}
