//! `ma-cli`: the command line of Huawei Cloud ModelArts, with a copier for OBS and an embedded platform.
//!
//! This crate is the program; it is a library only so that tests, benches and the generator can reach its parts. It makes no
//! promise of a stable interface. The modules below stand in layers, the lowest first; a module uses only what stands above
//! it in this list (`tests/architecture.rs` holds the exact table).

// HTTP: TLS, proxies, retries.
pub mod http;

// Which operations the REST API has.
pub mod catalogue;

// Identity: credentials, signing, tokens.
pub mod auth;

// The control planes' REST API.
pub mod api;

// The object store's client.
pub mod obs;

// The copier.
pub mod copy;

// Settings and profiles.
pub mod settings;

// The one error type, its kinds and exit codes.
pub mod error;

// Output: tables, documents, progress, prompts.
pub mod ui;

// What a command is given: environment, settings, output, clients.
pub mod ctx;

// The commands, one file a verb.
pub mod commands;

// The command line: argv, help, completion.
pub mod cli;

// The embedded platform.
#[cfg(feature = "platform")]
pub mod platform;

use std::ffi::OsString;
use std::process::ExitCode;
use std::time::Duration;

use cli::complete::Request;
use cli::{Cli, Invocation};
use ctx::Ctx;
use error::{Error, Kind};
use settings::env::Env;
use ui::{Terminals, Ui};

/// Runs the program: arguments and environment in, exit code out.
pub fn main(arguments: Vec<OsString>, env: Env) -> ExitCode {
    let terminals = terminals(&env);
    // Until the arguments are understood, the format that they seem to ask for.
    let options = cli::usage::output(&arguments).output(env.get("MA_CLI_FORMAT")).unwrap_or_default();
    ui::defect::report_to(Ui::new(options, terminals));
    ui::defect::caught(|| start(&arguments, env, terminals)).unwrap_or(ExitCode::from(Kind::Internal.exit_code()))
}

fn start(arguments: &[OsString], env: Env, terminals: Terminals) -> ExitCode {
    let plain = Ui::new(ui::Options::default(), terminals);
    if let Some(value) = env.get("_MA_CLI_COMPLETE").filter(|value| !value.is_empty()) {
        let Some(request) = Request::parse(value) else {
            // On standard output it would be evaluated.
            let message = format!("_MA_CLI_COMPLETE is [{value}], and none of {}", Request::SOURCES);
            return finish(&plain, Err(Error::new(Kind::Usage, message)));
        };
        // The shell draws its line where a warning would go.
        if let Ok(nowhere) = std::fs::OpenOptions::new().write(true).open("/dev/null") {
            let _ = rustix::stdio::dup2_stderr(nowhere);
        }
        let text = cli::complete::respond(request, &env);
        return finish(&plain, plain.write(text.as_bytes()));
    }
    match cli::parse(arguments) {
        Invocation::Print(text) => finish(&plain, plain.write(text.as_bytes())),
        Invocation::Misuse(misuse) => {
            let globals = cli::usage::output(arguments);
            match globals.output(env.get("MA_CLI_FORMAT")).map(|options| Ui::new(options, terminals)) {
                Ok(ui) if ui.format() != ui::Format::Table => ui.report(&misuse.error),
                _ => plain.note_lines(misuse.text.trim_end()),
            }
            ExitCode::from(misuse.error.kind.exit_code())
        }
        Invocation::Run(cli) => match cli.globals.output(env.get("MA_CLI_FORMAT")) {
            Ok(options) => run(*cli, env, Ui::new(options, terminals)),
            Err(error) => {
                let options = ui::Options { format: cli.globals.format(env.get("MA_CLI_FORMAT")), ..ui::Options::default() };
                finish(&Ui::new(options, terminals), Err(error))
            }
        },
    }
}

fn run(cli: Cli, env: Env, ui: Ui) -> ExitCode {
    ui::defect::report_to(ui.clone());
    if cli.globals.debug {
        ui::trace::enable();
    }
    let ctx = Ctx::new(env, ui, cli.globals.settings());
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return finish(&ctx.ui, Err(Error::new(Kind::Local, "cannot start threads").caused_by(error))),
    };
    let result = runtime.block_on(commands::run(&ctx, cli.command));
    // A thread that is blocked in a read of standard input must not hold the process.
    runtime.shutdown_timeout(Duration::from_millis(100));
    match (&result, ctx.exit_code()) {
        (Ok(()), Some(code)) => ExitCode::from(code),
        _ => finish(&ctx.ui, result.map_err(|error| ctx.advise(error))),
    }
}

fn finish(ui: &Ui, result: Result<(), Error>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    // A broken pipe is not an error, but a signal to end quietly.
    if error.kind != Kind::BrokenPipe {
        ui.report(&error);
    }
    ExitCode::from(error.kind.exit_code())
}

fn terminals(env: &Env) -> Terminals {
    Terminals {
        stdin: env.stdin_is_terminal,
        stdout: env.stdout_is_terminal,
        stderr: env.stderr_is_terminal,
        is_notebook: env.is_notebook(),
        is_ascii: env.is_ascii(),
        is_plain: env.get("NO_COLOR").is_some() || env.get("TERM") == Some("dumb"),
        is_color_forced: env.get("CLICOLOR_FORCE").is_some_and(|value| value != "0"),
        zone: ui::Zone::read(env.time_zone()),
    }
}
