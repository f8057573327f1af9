//! Inputs and outputs of a job file and of options, in every shape that users write them.

use crate::api::modelarts::training_job::Folder;
use crate::commands::ma_job::document::{Content, Node};
use crate::commands::ma_job::lists::{Mistake, at, expected, scalar, truth};

/// What one item of a list may be.
const ITEM: &str = "name=obs://bucket/path or {name, obs_path}";
/// The keys of one item.
const KEYS: &str = "name, obs_path, access, predownload and local_dir";

/// `name=obs://bucket/path`.
pub(super) fn folder(text: &str) -> Result<Folder, Mistake> {
    match text.split_once('=') {
        Some((name, url)) if !name.trim().is_empty() => Ok(named(name.trim(), url.trim())),
        _ => Err((None, format!("expected name=obs://bucket/path, found [{text}]"))),
    }
}

/// Inputs or outputs: `name=path` texts, `{name, obs_path}` mappings, or one mapping of names to paths.
pub(super) fn folders(node: &Node) -> Result<Vec<Folder>, Mistake> {
    match &node.content {
        Content::Scalar(text) => Ok(vec![at(folder(text), node)?]),
        Content::Mapping(members) if members.iter().any(|(key, ..)| is_name(key)) => Ok(vec![named_folder(node, members)?]),
        Content::Mapping(members) => members.iter().map(|(name, _, path)| pair(name, path)).collect(),
        Content::List(items) => items
            .iter()
            .map(|item| match &item.content {
                Content::Scalar(text) => at(folder(text), item),
                Content::Mapping(members) => match members.as_slice() {
                    [(name, _, path)] if !is_name(name) => pair(name, path),
                    _ => named_folder(item, members),
                },
                _ => expected(item, ITEM),
            })
            .collect(),
        Content::Null => Ok(Vec::new()),
    }
}

fn named(name: &str, url: &str) -> Folder {
    Folder { name: name.to_owned(), url: url.to_owned(), ..Folder::default() }
}

fn is_name(key: &str) -> bool {
    matches!(key, "name" | "obs_path" | "obs-path" | "obs_url" | "obs-url")
}

fn pair(name: &str, path: &Node) -> Result<Folder, Mistake> {
    Ok(named(name, &scalar(path, "obs://bucket/path")?))
}

fn named_folder(node: &Node, members: &[(String, u64, Node)]) -> Result<Folder, Mistake> {
    let (mut name, mut url) = (None, None);
    let mut folder = Folder::default();
    for (key, line, value) in members {
        let deeper = |(_, message)| (Some(*line), message);
        match key.replace('-', "_").as_str() {
            "name" => name = Some(scalar(value, "a name")?),
            "obs_path" | "obs_url" => url = Some(scalar(value, "obs://bucket/path")?),
            "access" | "access_method" => {
                folder.as_variable = as_variable(&scalar(value, "parameter or env")?).map_err(deeper)?;
            }
            "predownload" => folder.predownload = truth(&scalar(value, "true or false")?).map_err(deeper)?,
            "local_dir" => folder.local_dir = Some(scalar(value, "a folder of the job")?),
            _ => return Err((Some(*line), format!("expected {KEYS}, found [{key}]"))),
        }
    }
    match (name, url) {
        (Some(name), Some(url)) => Ok(Folder { name, url, ..folder }),
        _ => Err((Some(node.line), "expected name and obs_path".to_owned())),
    }
}

fn as_variable(text: &str) -> Result<bool, Mistake> {
    match text.to_ascii_lowercase().as_str() {
        "parameter" => Ok(false),
        "env" => Ok(true),
        _ => Err((None, format!("expected parameter or env, found [{text}]"))),
    }
}

#[cfg(test)]
mod tests {
    use super::folders;
    use crate::commands::ma_job::document::{Content, Node, parse};

    fn node(yaml: &str) -> Node {
        let Content::Mapping(members) = parse(&format!("k: {yaml}")).unwrap().content else { panic!() };
        members.into_iter().next().unwrap().2
    }

    #[test]
    fn folders_come_in_every_shape() {
        for yaml in [
            "[a=obs://b/1/, c=obs://b/2/]",
            "[{name: a, obs_path: obs://b/1/}, {obs-url: obs://b/2/, name: c}]",
            "{a: obs://b/1/, c: obs://b/2/}",
            "[{a: obs://b/1/}, {c: obs://b/2/}]",
        ] {
            let all: Vec<_> = folders(&node(yaml)).unwrap().into_iter().map(|folder| (folder.name, folder.url)).collect();
            assert_eq!(all, [("a".into(), "obs://b/1/".into()), ("c".into(), "obs://b/2/".into())], "{yaml}");
        }
        assert_eq!(folders(&node("a=obs://b/1/")).unwrap().len(), 1);
        assert!(folders(&node("[a]")).is_err() && folders(&node("[{name: a}]")).is_err() && folders(&node("[[a]]")).is_err());
    }

    #[test]
    fn an_item_says_how_it_is_handed_over() {
        let all = folders(&node("[{name: a, obs_path: obs://b/1/, access: env, predownload: yes, local-dir: /x}]")).unwrap();
        assert!(all[0].as_variable && all[0].predownload && all[0].local_dir.as_deref() == Some("/x"));
        assert!(folders(&node("[{name: a, obs_path: obs://b/1/, access: mail}]")).unwrap_err().1.contains("[mail]"));
    }
}
