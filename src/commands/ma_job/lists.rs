//! The list-valued keys of a job file and the repeated options of `submit`, in every shape that users write them.

use crate::api::modelarts::training_job::Volume;
use crate::commands::ma_job::document::{Content, Node};

/// A line, when it is known more exactly than that of the key, and what is expected there.
pub(super) type Mistake = (Option<u64>, String);

/// The mistake of a node that is something else.
pub(super) fn expected<T>(node: &Node, what: &str) -> Result<T, Mistake> {
    Err((Some(node.line), format!("expected {what}, found {}", node.content.describe())))
}

/// The text of a scalar; numbers and truth values as they are written.
pub(super) fn scalar(node: &Node, what: &str) -> Result<String, Mistake> {
    match &node.content {
        Content::Scalar(text) => Ok(text.clone()),
        _ => expected(node, what),
    }
}

/// A truth value in any of YAML's spellings.
pub(super) fn truth(text: &str) -> Result<bool, Mistake> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err((None, format!("expected true or false, found [{text}]"))),
    }
}

/// `NAME=value`.
pub(super) fn variable(text: &str) -> Result<(String, String), Mistake> {
    match text.split_once('=') {
        Some((name, value)) if !name.trim().is_empty() => Ok((name.trim().to_owned(), value.to_owned())),
        _ => Err((None, format!("expected NAME=value, found [{text}]"))),
    }
}

/// `local_path=/xx;read_only=false;nfs_server_path=host:/`; instead of a server, `pfs_path` or `obs_path`.
pub(super) fn volume(text: &str) -> Result<Volume, Mistake> {
    let mut volume = Volume::default();
    for part in text.split(';').filter(|part| !part.trim().is_empty()) {
        let Some((key, value)) = part.split_once('=') else {
            return Err((None, format!("expected key=value, found [{part}]")));
        };
        set_volume(&mut volume, key.trim(), value.trim())?;
    }
    whole_volume(volume)
}

/// Environment variables: `NAME=value` texts, `{name, value}` or single-key mappings, or one mapping.
pub(super) fn variables(node: &Node) -> Result<Vec<(String, String)>, Mistake> {
    let value = |name: &str, node: &Node| {
        let text = if node.content == Content::Null { String::new() } else { scalar(node, "a text")? };
        Ok::<_, Mistake>((name.to_owned(), text))
    };
    match &node.content {
        Content::Scalar(text) => Ok(vec![at(variable(text), node)?]),
        Content::Mapping(members) => members.iter().map(|(name, _, node)| value(name, node)).collect(),
        Content::List(items) => {
            let mut all = Vec::new();
            for item in items {
                match &item.content {
                    Content::Scalar(text) => all.push(at(variable(text), item)?),
                    Content::Mapping(members) => match named_value(members) {
                        Some((name, value_node)) => all.push(value(&scalar(name, "a name")?, value_node)?),
                        None => {
                            for (name, _, node) in members {
                                all.push(value(name, node)?);
                            }
                        }
                    },
                    _ => return expected(item, "NAME=value"),
                }
            }
            Ok(all)
        }
        Content::Null => Ok(Vec::new()),
    }
}

/// Hyperparameters: single-key or `{name, value}` mappings, one mapping, texts, or one text as on the command line.
pub(super) fn parameters(node: &Node) -> Result<Vec<(String, Option<String>)>, Mistake> {
    let value = |name: &str, node: &Node| {
        let value = if node.content == Content::Null { None } else { Some(scalar(node, "a text or a number")?) };
        Ok::<_, Mistake>((name.to_owned(), value))
    };
    match &node.content {
        Content::Scalar(text) => at(parameter_text(text), node),
        Content::Mapping(members) => members.iter().map(|(name, _, node)| value(name, node)).collect(),
        Content::List(items) => {
            let mut all = Vec::new();
            for item in items {
                match &item.content {
                    Content::Scalar(text) => all.extend(at(parameter_item(text), item)?),
                    Content::Mapping(members) => match named_value(members) {
                        Some((name, value_node)) => all.push(value(&scalar(name, "a name")?, value_node)?),
                        None => {
                            for (name, _, node) in members {
                                all.push(value(name, node)?);
                            }
                        }
                    },
                    _ => return expected(item, "name: value"),
                }
            }
            Ok(all)
        }
        Content::Null => Ok(Vec::new()),
    }
}

/// Mounts: texts as on the command line, or mappings, whose keys stand beside `efs:` (or `nfs:`) or below it.
pub(super) fn volumes(node: &Node) -> Result<Vec<Volume>, Mistake> {
    let one = std::slice::from_ref(node);
    let items = if let Content::List(items) = &node.content { items } else { one };
    items
        .iter()
        .map(|item| match &item.content {
            Content::Scalar(text) => at(volume(text), item),
            Content::Mapping(members) => {
                let mut volume = Volume::default();
                mounted(&mut volume, members)?;
                at(whole_volume(volume), item)
            }
            _ => expected(item, "local_path, read_only and nfs_server_path"),
        })
        .collect()
}

fn mounted(volume: &mut Volume, members: &[(String, u64, Node)]) -> Result<(), Mistake> {
    for (key, line, value) in members {
        match &value.content {
            Content::Null => {}
            Content::Mapping(deeper) if matches!(key.as_str(), "efs" | "nfs" | "pfs" | "obs") => mounted(volume, deeper)?,
            _ => set_volume(volume, key, &scalar(value, "a text")?).map_err(|(_, message)| (Some(*line), message))?,
        }
    }
    Ok(())
}

fn set_volume(volume: &mut Volume, key: &str, value: &str) -> Result<(), Mistake> {
    match key.replace('-', "_").as_str() {
        "local_path" => value.clone_into(&mut volume.local_path),
        "nfs_server_path" => value.clone_into(&mut volume.nfs_server_path),
        "pfs_path" => value.clone_into(&mut volume.pfs_path),
        "obs_path" => value.clone_into(&mut volume.obs_path),
        "read_only" => volume.read_only = truth(value)?,
        other => {
            return Err((
                None,
                format!("expected local_path, read_only and nfs_server_path (or pfs_path, obs_path), found [{other}]"),
            ));
        }
    }
    Ok(())
}

fn whole_volume(volume: Volume) -> Result<Volume, Mistake> {
    let sources = [&volume.nfs_server_path, &volume.pfs_path, &volume.obs_path];
    if volume.local_path.is_empty() || sources.iter().filter(|source| !source.is_empty()).count() != 1 {
        return Err((None, "a volume needs local_path and one of nfs_server_path, pfs_path and obs_path".to_owned()));
    }
    Ok(volume)
}

/// One item of a list. An item that begins as `name=value` is one pair, whatever blanks its value has: YAML delimits the item.
fn parameter_item(text: &str) -> Result<Vec<(String, Option<String>)>, Mistake> {
    let text = text.trim();
    let is_quoted = || words(text).is_ok_and(|words| words.len() == 1);
    match text.split_once('=') {
        Some((name, value))
            if !name.is_empty() && !name.starts_with("--") && !name.contains(char::is_whitespace) && !is_quoted() =>
        {
            Ok(vec![(name.to_owned(), Some(value.to_owned()))])
        }
        _ => parameter_text(text),
    }
}

/// `"epoch 0 pretrained"`: names and values in turn, a name at the end is a flag. `name=value` and `--name value` say what is
/// meant where that is not enough. Quotes keep blanks in a value.
pub(super) fn parameter_text(text: &str) -> Result<Vec<(String, Option<String>)>, Mistake> {
    let words = words(text)?;
    let is_dashed = |word: &str| word.starts_with("--") && word.len() > 2;
    let has_dashes = words.iter().any(|word| is_dashed(word));
    let mut all = Vec::new();
    let mut rest = words.iter().peekable();
    while let Some(word) = rest.next() {
        let name = word.trim_start_matches("--");
        if let Some((name, value)) = name.split_once('=') {
            all.push((name.to_owned(), Some(value.to_owned())));
            continue;
        }
        if name.is_empty() || name.parse::<f64>().is_ok() || (has_dashes && !is_dashed(word)) {
            return Err((None, format!("[{word}] stands where the name of a parameter is expected; write name=value")));
        }
        let value = rest.next_if(|next| !is_dashed(next) && (has_dashes || !next.contains('=')));
        all.push((name.to_owned(), value.cloned()));
    }
    Ok(all)
}

/// Splits at blanks outside of quotes.
fn words(text: &str) -> Result<Vec<String>, Mistake> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for character in text.chars() {
        match quote {
            Some(open) if character == open => quote = None,
            Some(_) => word.get_or_insert_default().push(character),
            None if matches!(character, '"' | '\'') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            None if character.is_whitespace() => words.extend(word.take()),
            None => word.get_or_insert_default().push(character),
        }
    }
    if quote.is_some() {
        return Err((None, format!("a quote is not closed in [{text}]")));
    }
    words.extend(word);
    Ok(words)
}

/// Puts the node's line where none is known.
pub(super) fn at<T>(result: Result<T, Mistake>, node: &Node) -> Result<T, Mistake> {
    result.map_err(|(line, message)| (line.or(Some(node.line)), message))
}

/// `{name: N, value: V}`, as the service writes parameters.
fn named_value(members: &[(String, u64, Node)]) -> Option<(&Node, &Node)> {
    match members {
        [(name, _, first), (value, _, second)] if name == "name" && value == "value" => Some((first, second)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{parameter_text, parameters, variables, volume, volumes};
    use crate::commands::ma_job::document::{Content, Node, parse};

    fn node(yaml: &str) -> Node {
        let Content::Mapping(members) = parse(&format!("k: {yaml}")).unwrap().content else { panic!() };
        members.into_iter().next().unwrap().2
    }

    #[test]
    fn variables_come_in_every_shape() {
        for yaml in ["[A=1, B=x=y]", "{A: 1, B: x=y}", "[{A: 1}, {B: x=y}]", "[{name: A, value: 1}, {name: B, value: x=y}]"] {
            assert_eq!(variables(&node(yaml)).unwrap(), [("A".into(), "1".into()), ("B".into(), "x=y".into())], "{yaml}");
        }
        assert!(variables(&node("[A]")).is_err());
    }

    #[test]
    fn parameters_come_in_every_shape() {
        let expected = [("epoch".to_owned(), Some("0".to_owned())), ("pretrained".to_owned(), None)];
        for yaml in [
            "[{epoch: 0}, {pretrained: }]",
            "{epoch: 0, pretrained: }",
            "[epoch=0, pretrained]",
            "[epoch 0, pretrained]",
            "epoch 0 pretrained",
            "--epoch 0 --pretrained",
            "[{name: epoch, value: 0}, {name: pretrained, value: }]",
        ] {
            assert_eq!(parameters(&node(yaml)).unwrap(), expected, "{yaml}");
        }
    }

    #[test]
    fn a_list_item_that_begins_as_a_pair_is_one_pair() {
        let pair = |name: &str, value: &str| (name.to_owned(), Some(value.to_owned()));
        let yaml = "[note=hello world, \"say=it's two\", 'quoted=\"a  b\"', lr 0.1]";
        let expected = [pair("note", "hello world"), pair("say", "it's two"), pair("quoted", "a  b"), pair("lr", "0.1")];
        assert_eq!(parameters(&node(yaml)).unwrap(), expected);
    }

    #[test]
    fn one_text_of_parameters() {
        let some = |text: &str| Some(text.to_owned());
        let read = |text: &str| parameter_text(text).unwrap();
        assert_eq!(
            read("--flag --lr 0.1 --x=-1"),
            [("flag".into(), None), ("lr".into(), some("0.1")), ("x".into(), some("-1"))]
        );
        assert_eq!(read("a -1 b=2 c"), [("a".into(), some("-1")), ("b".into(), some("2")), ("c".into(), None)]);
        assert_eq!(read("text \"two words\" e ''"), [("text".into(), some("two words")), ("e".into(), some(""))]);
        assert_eq!(read(""), []);
        // What looks like a flag in front is read as a pair, so the number that is left over is told.
        assert!(parameter_text("pretrained epoch 0").is_err());
        assert!(parameter_text("a \"b").is_err() && parameter_text("--a 1 2").is_err());
    }

    #[test]
    fn volumes_come_in_every_shape() {
        for yaml in [
            "[\"local_path=/x;read_only=true;nfs_server_path=h:/\"]",
            "[{efs: , local_path: /x, read_only: true, nfs_server_path: \"h:/\"}]",
            "[{efs: {local_path: /x, read_only: yes, nfs_server_path: \"h:/\"}}]",
            "{nfs: {local-path: /x, read-only: on, nfs-server-path: \"h:/\"}}",
        ] {
            let all = volumes(&node(yaml)).unwrap();
            assert_eq!(
                (all[0].local_path.as_str(), all[0].nfs_server_path.as_str(), all[0].read_only),
                ("/x", "h:/", true),
                "{yaml}"
            );
        }
        assert!(volume("local_path=/x").is_err() && volume("colour=red").is_err() && volume("x").is_err());
    }
}
