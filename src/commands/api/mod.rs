//! `ma-cli api`: any operation of the control planes, signed.

mod answer;
mod fields;
mod pages;
mod path;

use clap::builder::PossibleValuesParser;
use serde_json::{Map, Value};

use self::fields::Field;
use self::pages::{Asked, Paging};
use crate::api::{Api, Request};
use crate::catalogue;
use crate::ctx::Ctx;
use crate::error::{Error, Kind, nearest};
use crate::ui::{Document, Format};

/// Methods of the control planes.
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
/// Services that take signed requests of this kind.
const SERVICES: [&str; 4] = ["modelarts", "iam", "swr", "dli"];
/// Send a request to a control plane, signed
///
/// PATH is that of the API reference. `{project_id}` stands for the project in use; other names in braces are filled by fields.
/// The service follows from the path. Fields become the query of GET and DELETE and the JSON body of the other methods.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  ma-cli api GET /v2/{project_id}/pools --query 'items[].metadata.name'
  ma-cli api GET /v1/{project_id}/notebooks -f limit=10 --paginate -F jsonl
  ma-cli api GET /v2/{project_id}/training-jobs/{training_job_id} -f training_job_id=494b55e1-f2b8-4932-bbb1-c9768b0000aa
  ma-cli api POST /v2/{project_id}/training-job-searches -f limit:=50 -f sort_by=duration
  ma-cli api POST /v2/{project_id}/algorithms --input algorithm.json")]
pub struct ApiArgs {
    /// GET, POST, PUT, PATCH or DELETE
    #[arg(value_name = "METHOD", value_parser = PossibleValuesParser::new(METHODS))]
    method: String,
    /// Path, with or without a query
    #[arg(value_name = "PATH")]
    path: String,
    /// A field: key=text or key:=JSON; brackets after the key make objects and lists
    #[arg(short = 'f', long, value_name = "KEY=VALUE")]
    field: Vec<String>,
    /// File with the JSON body, - for standard input; fields become the query then
    #[arg(long, value_name = "FILE")]
    input: Option<String>,
    /// Ask for all pages and print their items as one array
    #[arg(long)]
    paginate: bool,
    /// Service to ask when the path does not tell
    #[arg(long, value_name = "NAME", value_parser = PossibleValuesParser::new(SERVICES))]
    service: Option<String>,
}

/// The paths that can be written after a method, for completion; of every method for `None`.
pub fn paths(method: Option<&str>) -> impl Iterator<Item = &'static str> {
    catalogue::paths(method)
}

/// Sends the request and shows the answer.
///
/// # Errors
/// The path or a field is wrong, the file is no JSON, the service refuses.
pub async fn run(ctx: &Ctx, args: ApiArgs) -> Result<(), Error> {
    ctx.ui.needs_no_rows()?;
    let (path, mut query) = path::split(&args.path)?;
    let fields: Vec<Field> = args.field.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
    let (path, fields) = fields::fill(&path, fields)?;
    path::check(&path)?;
    let service = args.service.as_deref().or_else(|| catalogue::service(&path)).unwrap_or(SERVICES[0]);
    let name = args.method.to_ascii_uppercase();
    if args.paginate && !matches!(name.as_str(), "GET" | "POST") {
        return Err(Error::new(Kind::Usage, format!("--paginate asks again and again, which is not for {name}")));
    }
    let method = name.parse().map_err(|_| Error::new(Kind::Usage, format!("[{name}] is no method")))?;
    let body = match &args.input {
        Some(file) => Some(read(ctx, file).await?),
        None => None,
    };
    let is_query = body.is_some() || matches!(name.as_str(), "GET" | "DELETE");
    let body = if is_query { body } else { fields::body(&fields)? };
    if is_query {
        query.extend(fields.iter().map(|field| (field.name().to_owned(), field.text())));
    }
    let api = ctx.control_plane(service)?;
    let request = Request::literal(method, &path);
    let advise = |error: Error| advise(error, &name, &path);
    if args.paginate {
        // Where a body is usual, the number of the page stands there.
        let body = if is_query { body } else { body.or_else(|| Some(Map::new().into())) };
        let asked = Asked { request, query, body };
        let items = Paging::of(service, &path).all(&api, &asked, |why| ctx.ui.warn(why)).await.map_err(advise)?;
        return ctx.ui.emit_as(&Document(Value::Array(items)), Format::Json);
    }
    let request = query.iter().fold(request, |request, (name, value)| request.parameter(name, value));
    let request = body.into_iter().fold(request, Request::body);
    show(ctx, &api, request).await.map_err(advise)
}

async fn show(ctx: &Ctx, api: &Api, request: Request) -> Result<(), Error> {
    let answer = api.exchange(request).await?;
    if answer.body.iter().all(u8::is_ascii_whitespace) {
        return Ok(());
    }
    match serde_json::from_slice(&answer.body) {
        Ok(document) => ctx.ui.emit_as(&Document(document), Format::Json),
        // Some operations answer text, as with logs.
        Err(_) if ctx.ui.format() == Format::Table => ctx.ui.remote_text(&String::from_utf8_lossy(&answer.body)),
        Err(error) => Err(Error::new(Kind::Service, "the service answered something that is no JSON")
            .caused_by(error)
            .hint("without --format and --query it is shown as it came")),
    }
}

async fn read(ctx: &Ctx, file: &str) -> Result<Value, Error> {
    let failed = |error| Error::new(Kind::Local, format!("cannot read [{file}]")).caused_by(error);
    let text = if file == "-" {
        let input = ctx.ui.raw_input()?;
        std::io::read_to_string(input).map_err(failed)?
    } else {
        tokio::fs::read_to_string(ctx.env.directory.join(file)).await.map_err(failed)?
    };
    serde_json::from_str(&text).map_err(|error| Error::new(Kind::Config, format!("[{file}] is no JSON: {error}")))
}

/// For a path that no catalogue knows: the one that was meant.
fn advise(error: Error, method: &str, path: &str) -> Error {
    if !matches!(error.kind, Kind::NotFound | Kind::Unsupported) || catalogue::find(method, path).is_some() {
        return error;
    }
    let others: Vec<_> =
        catalogue::operations().filter(|known| catalogue::service(path).is_some() && known.path == path).collect();
    match (others.first(), nearest(path, catalogue::paths(Some(method)))) {
        (Some(known), _) => error.hint(format!("this path takes {}", known.method)),
        (None, Some(known)) => error.hint(format!("did you mean [{known}]?")),
        (None, None) => error.hint("no catalogue knows this path"),
    }
}
