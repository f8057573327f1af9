//! What the job made from an older one is like.

use crate::commands::ma_job::spec::Spec;

/// The description of the new job.
pub(super) fn after(before: Spec, overrides: Spec, is_resumed: bool) -> Spec {
    let is_named = overrides.text("name").is_some();
    let new_kind = ["image-url", "algorithm-id", "subscription-id"].iter().find(|key| overrides.text(key).is_some());
    let mut before = before;
    // Another kind of algorithm replaces the old one as a whole.
    if let Some(kind) = new_kind {
        for key in [
            "algorithm-id",
            "subscription-id",
            "item-version-id",
            "image-url",
            "uid",
            "user-command",
            "framework-type",
            "framework-version",
        ] {
            before.texts.remove(key);
        }
        if *kind != "image-url" {
            before.texts.remove("code-dir");
        }
        before.texts.remove("boot-file");
    }
    let mut after = before.merge(overrides);
    if !is_named {
        let name = next_name(after.text("name").unwrap_or("job"));
        after.texts.insert("name", name);
    }
    if is_resumed {
        after.outputs.iter_mut().flatten().for_each(|output| output.predownload = true);
    }
    after
}

/// `digits` becomes `digits-2`, and `digits-2` becomes `digits-3`.
fn next_name(name: &str) -> String {
    let numbered = name.rsplit_once('-').and_then(|(stem, number)| Some((stem, number.parse::<u16>().ok()?)));
    let (stem, number) = numbered.map_or((name, 2), |(stem, number)| (stem, u32::from(number) + 1));
    let number = format!("-{number}");
    // Names have 64 characters at most.
    let stem: String = stem.chars().take(64 - number.len()).collect();
    format!("{stem}{number}")
}

#[cfg(test)]
mod tests {
    use super::{after, next_name};
    use crate::commands::ma_job::job_file::parse;
    use crate::commands::ma_job::spec::Spec;

    fn read(text: &str) -> Spec {
        parse(text, &|_| None).spec
    }

    #[test]
    fn names_are_numbered() {
        for (name, expected) in [("digits", "digits-2"), ("digits-2", "digits-3"), ("a-b", "a-b-2"), ("a-70000", "a-70000-2")] {
            assert_eq!(next_name(name), expected);
        }
        let long = next_name(&"x".repeat(64));
        assert!(long.len() == 64 && long.ends_with("-2"), "{long}");
        // No name of this service, but one that another may give.
        assert_eq!(next_name(&format!("x{}", "é".repeat(70))), format!("x{}-2", "é".repeat(61)));
    }

    #[test]
    fn another_algorithm_replaces_the_old_one() {
        let old = || read("name: n\ncode-dir: obs://b/c/\nboot-file: m.py\nframework-version: v\noutput: [o=obs://b/o/]\n");
        let kept = after(old(), read("code-dir: obs://b/d/\n"), true);
        assert_eq!(
            (kept.text("name"), kept.text("code-dir"), kept.text("boot-file")),
            (Some("n-2"), Some("obs://b/d/"), Some("m.py"))
        );
        assert!(kept.outputs.unwrap()[0].predownload);
        let image = after(old(), read("name: x\nimage-url: o/i:t\n"), false);
        assert_eq!(
            (image.text("name"), image.text("code-dir"), image.text("boot-file")),
            (Some("x"), Some("obs://b/c/"), None)
        );
        let both = after(old(), read("code-dir: obs://b/d/\nimage-url: o/i:t\n"), false);
        assert_eq!(
            (both.text("code-dir"), both.text("framework-version"), both.text("boot-file")),
            (Some("obs://b/d/"), None, None)
        );
        let algorithm = after(old(), read("algorithm-id: a\n"), false);
        assert_eq!((algorithm.text("code-dir"), algorithm.text("framework-version")), (None, None));
    }
}
