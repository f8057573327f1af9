//! Which operations the control planes have, by method and path: for `ma-cli api`, completion and suggestions, and for the embedded
//! platform, which answers what it does not implement by its name.
//!
//! Facts of the API alone: what client and platform send each other, each knows by itself.

/// Method, path template, operation and catalogue, one operation a line, separated by tabs; made by `scripts/refresh-data`.
const TABLE: &str = include_str!("operations.tsv");

/// One operation of a control plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// HTTP method, in upper case.
    pub method: &'static str,
    /// Path with `{name}` in place of parameters.
    pub path: &'static str,
    /// Name of the operation.
    pub name: &'static str,
    /// The service that has it: `modelarts`, `iam`, `swr` or `dli`.
    pub service: &'static str,
}

/// Every operation, sorted by path, then by method.
pub fn operations() -> impl Iterator<Item = Operation> {
    TABLE.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut fields = line.split('\t');
        let (method, path, name, catalogue) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        // `modelarts-extra` describes the same service.
        Some(Operation { method, path, name, service: catalogue.split('-').next()? })
    })
}

/// The paths that a method can be sent to, each once; of every method for `None`. In the order of [`operations`].
pub fn paths(method: Option<&str>) -> impl Iterator<Item = &'static str> {
    let fits = move |operation: &Operation| method.is_none_or(|method| operation.method.eq_ignore_ascii_case(method));
    let mut last = "";
    operations().filter(fits).map(|operation| operation.path).filter(move |path| std::mem::replace(&mut last, path) != *path)
}

/// The operation that a request calls: of several that fit, the one with the most literal path.
pub fn find(method: &str, path: &str) -> Option<Operation> {
    fitting(path).filter(|operation| operation.method.eq_ignore_ascii_case(method)).min_by_key(is_open)
}

/// The service whose operations have such a path, whatever the method; `None` for a path that no catalogue knows.
pub fn service(path: &str) -> Option<&'static str> {
    fitting(path).min_by_key(is_open).map(|operation| operation.service)
}

/// Whether the path is that of an operation whose second segment is a word, so that no project id stands there.
pub fn is_without_project(path: &str) -> bool {
    let has_word = |template: &str| template.split('/').nth(2).is_some_and(|segment| !segment.starts_with('{'));
    fitting(path).any(|operation| has_word(operation.path))
}

fn fitting(path: &str) -> impl Iterator<Item = Operation> {
    operations().filter(move |operation| fits(operation.path, path))
}

/// How many parts of the path are open.
fn is_open(operation: &Operation) -> usize {
    operation.path.matches('{').count()
}

fn fits(template: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(wanted), Some(given)) if wanted == given => {}
            (Some(wanted), Some(given)) if wanted.starts_with('{') && !given.is_empty() => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{TABLE, find, operations, paths, service};

    #[test]
    fn every_line_is_an_operation_and_finds_itself_and_its_service() {
        let lines = TABLE.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(operations().count(), lines);
        assert!(lines > 500, "the table is cut short: {lines}");
        for operation in operations() {
            assert_eq!(find(operation.method, operation.path), Some(operation));
            assert!(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"].contains(&operation.method), "{operation:?}");
            assert!(["modelarts", "iam", "swr", "dli"].contains(&operation.service), "{operation:?}");
        }
        assert_eq!(service("/v3/projects"), Some("iam"));
        assert_eq!(service("/v2/p1/training-jobs/j1"), Some("modelarts"));
        assert_eq!(service("/v9/nothing"), None);
    }

    #[test]
    fn literal_paths_win_and_unknown_ones_are_not_found() {
        assert_eq!(find("GET", "/v3/projects").map(|operation| operation.name), Some("KeystoneListProjects"));
        assert_eq!(find("GET", "/v3/nothing/of/the/kind"), None);
        assert_eq!(find("PATCH", "/v3/projects"), None);
    }

    #[test]
    fn paths_are_listed_once() {
        let jobs = |method| paths(method).filter(|path| *path == "/v2/{project_id}/training-jobs/{training_job_id}").count();
        assert_eq!((jobs(None), jobs(Some("get")), jobs(Some("POST"))), (1, 1, 0));
    }
}
