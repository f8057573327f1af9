//! A description of a job in the form of a job file.

use serde_json::{Map, Value, json};

use crate::api::modelarts::training_job::{Folder, Notification, Volume};
use crate::commands::ma_job::expand;
use crate::commands::ma_job::spec::{KEYS, Shape, Spec};

/// The members of a job file that says this, in the order of [`KEYS`]. What a job file cannot say is left out.
pub(super) fn document(spec: &Spec) -> Map<String, Value> {
    KEYS.iter().filter_map(|(key, shape)| Some(((*key).to_owned(), value(spec, key, *shape)?))).collect()
}

/// The same, such that nothing of it is taken for an environment variable when it is read.
pub(super) fn file(spec: &Spec) -> Value {
    let mut members = document(spec);
    for (_, value) in members.iter_mut().filter(|(key, _)| *key != "user-command") {
        protect(value);
    }
    Value::Object(members)
}

fn protect(value: &mut Value) {
    match value {
        Value::String(text) => *text = expand::protect(text),
        Value::Array(items) => items.iter_mut().for_each(protect),
        Value::Object(members) => members.values_mut().for_each(protect),
        _ => {}
    }
}

fn value(spec: &Spec, key: &str, shape: Shape) -> Option<Value> {
    match shape {
        Shape::Text | Shape::Word(_) => spec.text(key).map(|text| json!(text)),
        Shape::Number(..) | Shape::Hours => spec.numbers.get(key).map(|number| json!(number)),
        Shape::Truth => spec.truths.get(key).map(|truth| json!(truth)),
        Shape::Names => spec.names.get(key).map(|names| json!(names)),
        Shape::Pairs => {
            let pairs = spec.pairs.get(key).filter(|pairs| !pairs.is_empty())?;
            Some(Value::Object(pairs.iter().map(|(name, value)| (name.clone(), json!(value))).collect()))
        }
        Shape::Folders => {
            let folders = if key == "input" { &spec.inputs } else { &spec.outputs };
            list(folders.as_deref(), folder)
        }
        // One mapping each, as in the documented job files: the same name may occur twice.
        Shape::Parameters => list(spec.parameters.as_deref(), |(name, value)| json!({name: value})),
        Shape::Volumes => list(spec.volumes.as_deref(), volume),
        Shape::Notification => {
            let Notification { topic_urn, events } = spec.notification.as_ref()?;
            Some(json!({"topic": topic_urn, "events": events}))
        }
    }
}

fn list<T>(items: Option<&[T]>, written: impl Fn(&T) -> Value) -> Option<Value> {
    items.filter(|items| !items.is_empty()).map(|items| items.iter().map(written).collect())
}

fn folder(folder: &Folder) -> Value {
    let mut members = Map::new();
    members.insert("name".to_owned(), json!(folder.name));
    members.insert("obs_path".to_owned(), json!(folder.url));
    if folder.as_variable {
        members.insert("access".to_owned(), json!("env"));
    }
    if folder.predownload {
        members.insert("predownload".to_owned(), json!(true));
    }
    if let Some(local) = &folder.local_dir {
        members.insert("local_dir".to_owned(), json!(local));
    }
    Value::Object(members)
}

fn volume(volume: &Volume) -> Value {
    let Volume { nfs_server_path, pfs_path, obs_path, local_path, read_only } = volume;
    if !pfs_path.is_empty() {
        json!({"local_path": local_path, "pfs_path": pfs_path})
    } else if !obs_path.is_empty() {
        json!({"local_path": local_path, "obs_path": obs_path})
    } else {
        json!({"local_path": local_path, "read_only": read_only, "nfs_server_path": nfs_server_path})
    }
}

/// What changes between two descriptions: each key with what it was and what it is.
pub(super) fn changes(before: &Spec, after: &Spec) -> Vec<(String, Option<Value>, Option<Value>)> {
    let (mut before, after) = (document(before), document(after));
    let mut changes = Vec::new();
    for (key, _) in KEYS {
        let (old, new) = (before.remove(key), after.get(key).cloned());
        if old != new {
            changes.push((key.to_owned(), old, new));
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::{changes, file};
    use crate::commands::ma_job::job_file::{Read, parse};
    use crate::commands::ma_job::spec::{KEYS, Spec};

    fn read(text: &str) -> Spec {
        let Read { spec, problems, .. } = parse(text, &|_| None);
        assert!(problems.is_empty(), "{problems:?}");
        spec
    }

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let spec = read(
            "name: n\ndescription: 'a: b #c $${HOME} \"q\"'\nworkspace-id: '0'\nexperiment: e\nalgorithm-id: a\nsubscription-id: s\n\
             item-version-id: v\nframework-type: PyTorch\nframework-version: 3.10\nimage-url: o/i:t\nuid: 1000\ncode-dir: obs://b/c/\n\
             boot-file: main.py\nuser-command: echo ${MA_JOB_DIR} && true\nlocal-code-dir: /home/x\nworking-dir: /home/x\n\
             data-url: obs://b/d/\ninput: [{name: i, obs_path: obs://b/i, access: env, local_dir: /i}]\ninput-env: [i]\n\
             output: [{name: o, obs_path: obs://b/o/, predownload: yes}]\noutput-env: [o]\npredownload: [o]\n\
             parameters:\n  - lr: 0.10\n  - flag:\n  - text: 'yes'\n  - lr: 1e-3\nenv-variables: {A: '1', B: 'no'}\nobs-path: obs://b/j\n\
             log-url: obs://b/l/\ntrain-instance-type: f\ntrain-instance-count: 2\npool-id: p\npolicy: turbo\npriority: 3\n\
             preemptible: yes\naffinity: cabinet\ncustom-metrics: http://:10001/m\nssh-key: [mine]\nvolumes:\n  - {local_path: /m, nfs_server_path: 'h:/', read_only: yes}\n  - {local_path: /p, pfs_path: x}\n\
             \x20 - {local_path: /o, obs_path: obs://b/v/}\nauto-restart: 3\nunconditional-restart: yes\nrestart-on-hang: yes\n\
             auto-stop: 2d\nnotify: 'urn:smn:r:p:t:JobFailed'\ntag: {team: vision, empty: ''}\nquiet: yes\n",
        );
        let written = file(&spec);
        for (key, _) in KEYS {
            assert!(written.get(key).is_some(), "{key} is not in the test");
        }
        let yaml = serde_saphyr::to_string(&written).unwrap();
        assert_eq!(read(&yaml), spec, "{yaml}");
        // JSON is YAML too.
        assert_eq!(read(&written.to_string()), spec);
    }

    #[test]
    fn changes_are_told_by_key() {
        let before = read("name: a\nparameters: {x: 1}\npriority: 1\n");
        let after = before.clone().merge(read("parameters: {x: 2}\nauto-restart: 3\n"));
        let told: Vec<_> = changes(&before, &after)
            .into_iter()
            .map(|(key, old, new)| format!("{key} {} {}", old.unwrap_or_default(), new.unwrap_or_default()))
            .collect();
        assert_eq!(told, [r#"parameters [{"x":"1"}] [{"x":"2"}]"#, "auto-restart null 3"]);
    }
}
