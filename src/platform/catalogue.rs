//! The operations that the cloud's API has, implemented here or not: an unimplemented one is answered by its name.

/// `method`, path template, operation and catalogue, one operation a line, separated by tabs.
const TABLE: &str = include_str!("data/operations.tsv");

/// One operation of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// HTTP method, in upper case.
    pub method: &'static str,
    /// Path with `{name}` in place of parameters.
    pub template: &'static str,
    /// Name of the operation.
    pub name: &'static str,
    /// Catalogue that describes it: `modelarts`, `modelarts-extra`, `iam`, `swr` or `dli`.
    pub catalogue: &'static str,
}

/// Every operation of the catalogues.
pub fn operations() -> impl Iterator<Item = Operation> {
    TABLE.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let mut fields = line.split('\t');
        Some(Operation { method: fields.next()?, template: fields.next()?, name: fields.next()?, catalogue: fields.next()? })
    })
}

/// The operation that a request calls; of several that fit, the one with the most literal path.
pub(crate) fn find(method: &str, path: &str) -> Option<Operation> {
    operations()
        .filter(|operation| operation.method == method && fits(operation.template, path))
        .min_by_key(|operation| operation.template.matches('{').count())
}

/// Whether the path is that of an operation whose second segment is a word, so that no project id stands there.
pub(crate) fn is_without_project(path: &str) -> bool {
    let has_word = |template: &str| template.split('/').nth(2).is_some_and(|segment| !segment.starts_with('{'));
    operations().any(|operation| has_word(operation.template) && fits(operation.template, path))
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
    use super::{find, operations};

    #[test]
    fn every_line_is_an_operation_and_finds_itself() {
        let lines = super::TABLE.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(operations().count(), lines);
        assert!(lines > 500, "the table is cut short: {lines}");
        for operation in operations() {
            assert!(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"].contains(&operation.method), "{operation:?}");
            let found = find(operation.method, operation.template).expect(operation.name);
            assert_eq!(found.template.matches('/').count(), operation.template.matches('/').count());
        }
    }

    #[test]
    fn literal_paths_win_and_unknown_ones_are_not_found() {
        let found = find("GET", "/v3/projects").map(|operation| operation.name);
        assert_eq!(found, Some("KeystoneListProjects"));
        assert_eq!(find("GET", "/v3/nothing/of/the/kind"), None);
        assert_eq!(find("PATCH", "/v3/projects"), None);
    }
}
