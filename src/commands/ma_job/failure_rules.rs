//! Which trace in a log or exit code points to which cause, and what to do about it. Each rule names its source.

use regex::Regex;

/// How a rule is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    /// A line of the log, or the reason that the service gives, in which this regular expression is found.
    Text(&'static str),
    /// The exit code of the failing task.
    ExitCode(i64),
}

/// One cause of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    sign: Sign,
    /// What went wrong.
    pub(super) cause: &'static str,
    /// What to do.
    pub(super) advice: &'static str,
    /// Where this is known from.
    pub(super) source: &'static str,
}

/// A rule that applies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// The rule.
    pub(super) rule: &'static Rule,
    /// The line that it was recognised by, shortened.
    pub(super) line: Option<String>,
}

/// Most characters of a line that are shown.
const LONGEST_LINE: usize = 160;

/// Lines between traces of one failure: among these the order of the table decides.
const TOGETHER: usize = 10;
/// A trace that is followed by more lines than this is rather a warning than what killed the program.
const RECENT: usize = 30;
/// Exit codes that say themselves what happened: the program was ended by SIGABRT, SIGKILL or SIGSEGV.
const ENDED_BY_SIGNAL: [i64; 3] = [134, 137, 139];

/// The rule that is recognised nearest to the end of the log: each by the last line that shows it, the reason that the service
/// gives counts as the end. Then exit codes; those of signals before traces that are older.
pub(super) fn find(lines: &[String], reason: Option<&str>, exit_code: Option<i64>) -> Option<Finding> {
    let end = lines.len();
    let traces = RULES.iter().filter_map(|rule| {
        let Sign::Text(pattern) = rule.sign else { return None };
        let pattern = Regex::new(pattern).ok()?;
        let line = lines.iter().rposition(|line| pattern.is_match(line));
        let reason = reason.filter(|reason| pattern.is_match(reason));
        let shown = line.map(|line| lines[line].as_str()).or(reason)?;
        Some((rule, if reason.is_some() { end } else { line? }, shown))
    });
    let traces: Vec<_> = traces.collect();
    let last = traces.iter().map(|(_, place, _)| *place).max();
    let by_code = RULES.iter().find(|rule| exit_code.is_some_and(|code| rule.sign == Sign::ExitCode(code)));
    let is_killed = exit_code.is_some_and(|code| ENDED_BY_SIGNAL.contains(&code));
    let has_recent = last.is_some_and(|last| end - last <= RECENT);
    let trace = traces.iter().find(|(_, place, _)| last.is_some_and(|last| last - place < TOGETHER));
    match (trace, by_code) {
        (Some((rule, _, line)), code) if has_recent || !is_killed || code.is_none() => {
            Some(Finding { rule, line: Some(line.trim().chars().take(LONGEST_LINE).collect()) })
        }
        (_, code) => code.map(|rule| Finding { rule, line: None }),
    }
}

const fn text(pattern: &'static str, cause: &'static str, advice: &'static str, source: &'static str) -> Rule {
    Rule { sign: Sign::Text(pattern), cause, advice, source }
}

const fn code(code: i64, cause: &'static str, advice: &'static str, source: &'static str) -> Rule {
    Rule { sign: Sign::ExitCode(code), cause, advice, source }
}

const ANALYSIS: &str = "ModelArts user guide, training job fault analysis";
const CHECKS: &str = "ModelArts user guide, training fault tolerance check";
const HANGS: &str = "ModelArts user guide, suspension detection";
const EVENTS: &str = "ModelArts user guide, training job events";
const LAYOUT: &str = "ModelArts user guide, preparing training code";
const IMAGES: &str = "ModelArts user guide, training with a custom image";
const OBS: &str = "OBS API reference, error codes";
const PYTHON: &str = "Python library reference, built-in exceptions";
const TORCH: &str = "PyTorch, messages of torch.cuda and torch.utils.data";
const NCCL: &str = "NCCL user guide, troubleshooting";
const SHELL: &str = "POSIX shell, exit status of commands, and signal(7)";

/// The special before the general.
const RULES: &[Rule] = &[
    text("GetO[bo]sTokenException", "OBS traffic limiting", "try again later, or ask the support of OBS", ANALYSIS),
    text(
        r"(?i)item\W.*(dns|disk-size|ulimit|gpu-check).*(fail|error)",
        "the check of the node before the training found a fault",
        "submit the job again with --auto-restart, so that it gets another node",
        CHECKS,
    ),
    text(
        r"CUDA out of memory|torch\.(cuda\.)?OutOfMemoryError|CUDA_ERROR_OUT_OF_MEMORY|NPU out of memory|OOM when allocating tensor",
        "the memory of the accelerator is used up",
        "use a smaller batch, gradient accumulation or a flavor with larger cards",
        TORCH,
    ),
    text(
        "insufficient shared memory|killed by signal: Bus error",
        "the workers that load data have used up /dev/shm",
        "use fewer workers (num_workers) or a smaller batch",
        TORCH,
    ),
    text(
        r"no kernel image is available|CUDA driver version is insufficient|Found no NVIDIA driver|No CUDA GPUs are available",
        "the program and the cards of the node do not match",
        "choose a flavor with cards, and an engine whose CUDA version fits them",
        TORCH,
    ),
    text(
        r"(?i)watchdog caught collective operation timeout|nccl(System|Internal|Remote)Error|NCCL.*(timed out|timeout|unhandled)",
        "the nodes have lost each other while they exchanged data",
        "look at the logs of all tasks for the one that stopped first; NCCL_DEBUG=INFO says more",
        NCCL,
    ),
    text(
        r"(?i)job (is|was|may be) (possibly )?(suspended|hanged)|possibly suspended",
        "the job made no progress for a long time",
        "look for a node that failed or data that is split unevenly; MA_HANG_DETECT_TIME sets how long that may be",
        HANGS,
    ),
    text(
        r"ModuleNotFoundError: No module named|ImportError: cannot import name",
        "a Python package is missing",
        "name it in a requirements.txt beside the boot file, or use an engine or image that has it",
        LAYOUT,
    ),
    text(
        "cannot open shared object file",
        "a library is missing in the image",
        "install it in the image, or put its folder into LD_LIBRARY_PATH",
        IMAGES,
    ),
    text(
        r"error: (unrecognized arguments|the following arguments are required)",
        "the script and the parameters of the job do not match",
        "let the script accept every hyperparameter, input and output of the job (parse_known_args), and the job give those it needs",
        LAYOUT,
    ),
    text(
        r"No space left on device|Disk quota exceeded|\[Errno 28\]",
        "a disk of the node is full",
        "write less, or to /cache, or choose a flavor with a larger disk",
        CHECKS,
    ),
    text(
        r"NoSuchBucket|NoSuchKey",
        "something in OBS that the job needs is not there",
        "look at the paths of code, inputs and outputs (ma-cli obs ls)",
        OBS,
    ),
    text(
        r"AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch",
        "the job may not read or write something in OBS",
        "give the agency of ModelArts, or the keys that the program uses, permission for the bucket",
        OBS,
    ),
    text(
        r"SlowDown|(?i)obs.*\b503\b",
        "OBS asks for fewer requests",
        "copy with fewer requests at once, or try again later",
        OBS,
    ),
    text(
        r"(?i)preparations? timed out",
        "the job could not be prepared in time",
        "submit it again; algorithms and data of another region take long",
        EVENTS,
    ),
    text(
        r"(?i)(code|input).*(download).*fail|fail.*(download).*(code|input)",
        "code or data could not be brought to the node",
        "look at the paths of code and inputs, and at what the job may read",
        EVENTS,
    ),
    text(
        r"(?i)outputs? .*(upload).*fail|outputs could not be uploaded",
        "the outputs could not be stored",
        "look at the paths of outputs, and at where the job may write",
        EVENTS,
    ),
    text(
        r"(?i)address already in use",
        "a port that the program listens on is taken",
        "use another port, such as that of MASTER_PORT",
        "POSIX, bind()",
    ),
    text(
        r"\bMemoryError\b|Cannot allocate memory|(?i)oom-?kill|out of memory",
        "the memory of the node is used up",
        "load less at once, use fewer workers, or choose a larger flavor",
        PYTHON,
    ),
    text(
        r"PermissionError|Permission denied",
        "the program may not use a file or folder",
        "write below /home/ma-user or /cache; a custom image runs as user 1000 unless --uid says otherwise",
        IMAGES,
    ),
    text(
        r"FileNotFoundError|No such file or directory|can't open file",
        "a file is not where the program looks for it",
        "take the paths of inputs and outputs from the parameters that the job hands over; look at code-dir and boot-file",
        LAYOUT,
    ),
    text(
        r"\b(SyntaxError|IndentationError|TabError)\b",
        "the script is no valid program for this version of Python",
        "run it on your machine first, or choose another engine (ma-job get-engine)",
        PYTHON,
    ),
    code(126, "the boot command cannot be run", "make it executable (chmod +x)", SHELL),
    code(127, "the boot command was not found", "look at its name and at PATH in the image", SHELL),
    code(134, "the program has given itself up (SIGABRT)", "its log says why, just before its end", SHELL),
    code(
        137,
        "the program was killed (SIGKILL), most often for using up the memory of the node",
        "load less at once, use fewer workers, or choose a larger flavor",
        SHELL,
    ),
    code(139, "the program has crashed in native code (SIGSEGV)", "look for packages that do not fit each other", SHELL),
    code(143, "the program was ended (SIGTERM)", "look at the events and at the other tasks", SHELL),
];

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::{RULES, Sign, find};

    fn cause(lines: &[&str], reason: Option<&str>, code: Option<i64>) -> Option<&'static str> {
        let lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        find(&lines, reason, code).map(|finding| finding.rule.cause)
    }

    #[test]
    fn every_rule_can_be_read_and_names_its_source() {
        for rule in RULES {
            if let Sign::Text(pattern) = rule.sign {
                assert!(Regex::new(pattern).is_ok(), "{pattern}");
                assert!(!Regex::new(pattern).unwrap().is_match("epoch 3 loss 0.5 input output 503 items"), "{pattern}");
            }
            assert!(
                ![rule.cause, rule.advice, rule.source].iter().any(|text| text.is_empty() || text.ends_with('.')),
                "{rule:?}"
            );
        }
    }

    #[test]
    fn the_special_cause_is_told_before_the_general_one() {
        let torch = "RuntimeError: CUDA out of memory. Tried to allocate 2.00 GiB";
        assert_eq!(cause(&["x", torch, "MemoryError"], None, Some(1)), Some("the memory of the accelerator is used up"));
        assert_eq!(cause(&["ModuleNotFoundError: No module named 'x'"], None, Some(1)), Some("a Python package is missing"));
        assert!(cause(&["quiet"], None, Some(137)).is_some_and(|cause| cause.contains("SIGKILL")));
        assert_eq!(cause(&["quiet"], None, Some(1)), None);
        assert!(
            cause(&[], Some("Training code download failed: x"), None).is_some_and(|cause| cause.starts_with("code or data"))
        );
    }

    #[test]
    fn what_is_nearest_to_the_end_is_the_cause() {
        let warning = "W tensorflow: libcudart.so.10.1: cannot open shared object file: No such file or directory";
        let long: Vec<&str> = [&[warning][..], &["epoch"; 300]].concat();
        assert!(cause(&long, None, Some(137)).is_some_and(|cause| cause.contains("SIGKILL")));
        assert_eq!(cause(&[&long[..], &["MemoryError"]].concat(), None, Some(1)), Some("the memory of the node is used up"));
        assert_eq!(
            cause(&long, Some("inputs download failed"), Some(1)),
            Some("code or data could not be brought to the node")
        );
        // Just before the end it may be what killed the program, and without a signal it is the best there is.
        assert_eq!(cause(&long[..20], None, Some(134)), Some("a library is missing in the image"));
        assert_eq!(cause(&long, None, Some(1)), Some("a library is missing in the image"));
    }

    #[test]
    fn the_line_is_shown_shortened() {
        let lines = ["old NoSuchKey".to_owned(), format!("  {} NoSuchKey", "ä".repeat(150)), "later".to_owned()];
        let line = find(&lines, None, None).unwrap().line.unwrap();
        assert!(line.starts_with('ä') && line.chars().count() <= 160, "{line}");
    }
}
