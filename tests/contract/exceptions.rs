//! The list of known disagreements with the catalogues, which may only shrink.

use std::collections::BTreeSet;

/// Compares what was found with the list: a problem that is not listed and a listed one that was not found are both failures.
///
/// A line of the list is a problem as [`super::catalogue::Verdict`] words it; what follows ` # ` is the reason.
pub(crate) fn compare(list: &str, found: &BTreeSet<String>) -> Result<(), String> {
    let lines = list.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut allowed = BTreeSet::new();
    let mut complaints = Vec::new();
    for line in lines {
        match line.split_once(" # ") {
            Some((problem, reason)) if !reason.trim().is_empty() => drop(allowed.insert(problem.trim().to_owned())),
            _ => complaints.push(format!("no reason given: {line}")),
        }
    }
    complaints.extend(found.difference(&allowed).map(|problem| format!("not in the catalogue: {problem}")));
    complaints.extend(allowed.difference(found).map(|problem| format!("exception no longer needed, remove it: {problem}")));
    if complaints.is_empty() { Ok(()) } else { Err(complaints.join("\n")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(problems: &[&str]) -> BTreeSet<String> {
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_problem_is_listed_and_every_line_is_needed() {
        let list = "# comment\n\nListThings reply 200 / type # the catalogue is wrong\n";
        assert_eq!(compare(list, &found(&["ListThings reply 200 / type"])), Ok(()));
        assert_eq!(
            compare(list, &found(&["Other reply 200 / type"])).unwrap_err(),
            "not in the catalogue: Other reply 200 / type\nexception no longer needed, remove it: ListThings reply 200 / type"
        );
        assert_eq!(
            compare("ListThings reply 200 / type\n", &found(&[])).unwrap_err(),
            "no reason given: ListThings reply 200 / type"
        );
    }
}
