//! What an algorithm consists of, as options of `create` and `update`.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::api::modelarts::autosearch;
use crate::commands::algorithm::{document, hyperparameter};
use crate::error::{Error, Kind};

/// Values of `--multi-card` and `--distributed`, and what the API says for them.
const MODES: [&str; 2] = ["yes", "no"];

/// The definition of an algorithm. What is `None` or empty was not said.
#[derive(Debug, clap::Args)]
pub(super) struct DefinitionArgs {
    /// File with the algorithm, YAML or JSON
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Description, up to 256 characters
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// OBS path of the code
    #[arg(long, value_name = "TEXT")]
    code_dir: Option<String>,
    /// Boot file, relative to code-dir
    #[arg(long, value_name = "TEXT")]
    boot_file: Option<String>,
    /// Engine name, see ma-job get-engine
    #[arg(long, value_name = "TEXT")]
    framework_type: Option<String>,
    /// Engine id or version, see ma-job get-engine
    #[arg(long, value_name = "TEXT")]
    framework_version: Option<String>,
    /// Custom image: organization/image_name:tag
    #[arg(long, value_name = "TEXT")]
    image_url: Option<String>,
    /// Boot command of a custom image
    #[arg(long, value_name = "TEXT")]
    user_command: Option<String>,
    /// 'NAME=DEFAULT;type=Float;range=0:1;required': a hyperparameter
    #[arg(long, value_name = "TEXT")]
    hyperparameter: Vec<String>,
    /// Refuse hyperparameters that are not defined
    #[arg(long)]
    no_other_hyperparameters: bool,
    /// An input that jobs have to name: NAME, with ;description=TEXT and ;from=obs or ;from=dataset behind it where wanted
    #[arg(long, value_name = "TEXT")]
    input: Vec<String>,
    /// NAME[;description=TEXT]: an output that jobs have to name
    #[arg(long, value_name = "TEXT")]
    output: Vec<String>,
    /// Type of the flavors that jobs may use
    #[arg(long, value_name = "TYPE", value_parser = ["CPU", "GPU", "Ascend"])]
    flavor_type: Vec<String>,
    /// Whether jobs may use several cards
    #[arg(long, value_name = "YES_OR_NO", value_parser = MODES)]
    multi_card: Option<String>,
    /// Whether jobs may use several nodes
    #[arg(long, value_name = "YES_OR_NO", value_parser = MODES)]
    distributed: Option<String>,
    /// File with a search for hyperparameters that jobs may ask for
    #[arg(long, value_name = "FILE")]
    autosearch: Option<PathBuf>,
}

/// Reads one definition as it is written on the command line.
type Reader = fn(&str) -> Result<Value, String>;

impl DefinitionArgs {
    /// The file's document, else `default`.
    ///
    /// # Errors
    /// The file cannot be read, or is neither YAML nor JSON.
    pub(super) fn base(&self, directory: &Path, default: Value) -> Result<Value, Error> {
        let Some(file) = &self.file else { return Ok(default) };
        let text = read(directory, file)?;
        let document: Value = serde_saphyr::from_str(&text).map_err(|error| wrong(file, &error.to_string()))?;
        if document.is_object() { Ok(document::requested(&document)) } else { Err(wrong(file, "it is no mapping")) }
    }

    /// Writes what the options say into a document of the API's form.
    ///
    /// # Errors
    /// An option's value cannot be read.
    pub(super) fn apply(&self, directory: &Path, document: &mut Value) -> Result<(), Error> {
        if let Some(text) = &self.description {
            document["metadata"]["description"] = json!(text);
        }
        let config = &mut document["job_config"];
        for (name, value) in [("code_dir", &self.code_dir), ("boot_file", &self.boot_file), ("command", &self.user_command)] {
            if let Some(value) = value {
                config[name] = json!(value);
            }
        }
        self.engine(config);
        let lists: [(&str, &[String], Reader); 3] = [
            ("parameters", &self.hyperparameter, hyperparameter::read),
            ("inputs", &self.input, input),
            ("outputs", &self.output, output),
        ];
        for (name, texts, read) in lists {
            if !texts.is_empty() {
                let option = name.trim_end_matches('s').replace("parameter", "hyperparameter");
                let read: Result<Value, String> = texts.iter().map(|text| read(text)).collect();
                config[name] = read.map_err(|message| Error::new(Kind::Usage, format!("option --{option}: {message}")))?;
            }
        }
        if self.no_other_hyperparameters {
            config["parameters_customization"] = json!(false);
        }
        self.requirements(document);
        if let Some(file) = &self.autosearch {
            let policy = autosearch::policy(&read(directory, file)?).map_err(|error| wrong(file, &error.to_string()))?;
            document["advanced_config"]["auto_search"] = policy;
        }
        document::spell_paths(document);
        Ok(())
    }

    /// An image replaces an engine and the other way round.
    fn engine(&self, config: &mut Value) {
        if let Some(image) = &self.image_url {
            config["engine"] = json!({"image_url": image});
        }
        if self.framework_type.is_some() || self.framework_version.is_some() {
            let mut engine = json!({});
            if let Some(name) = &self.framework_type {
                engine["engine_name"] = json!(name);
            }
            if let Some(version) = &self.framework_version {
                engine["engine_version"] = json!(version);
            }
            config["engine"] = engine;
        }
    }

    fn requirements(&self, document: &mut Value) {
        let mode = |allowed: &Option<String>| {
            let words: &[&str] = if allowed.as_deref()? == "yes" { &["multiple", "singular"] } else { &["singular"] };
            Some(words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>())
        };
        let flavors = Some(self.flavor_type.clone()).filter(|types| !types.is_empty());
        for (key, values) in [
            ("flavor_type", flavors),
            ("device_distributed_mode", mode(&self.multi_card)),
            ("host_distributed_mode", mode(&self.distributed)),
        ] {
            let Some(values) = values else { continue };
            let mut all = document["resource_requirements"].as_array().cloned().unwrap_or_default();
            all.retain(|requirement| requirement["key"] != key);
            all.push(json!({"key": key, "values": values, "operator": "in"}));
            document["resource_requirements"] = Value::Array(all);
        }
    }
}

fn read(directory: &Path, file: &Path) -> Result<String, Error> {
    std::fs::read_to_string(directory.join(file))
        .map_err(|error| Error::new(Kind::Local, format!("cannot read [{}]", file.display())).caused_by(error))
}

fn wrong(file: &Path, message: &str) -> Error {
    Error::new(Kind::Config, format!("[{}]: {message}", file.display()))
}

fn input(text: &str) -> Result<Value, String> {
    let mut document = channel(text, &["description", "from"])?;
    if let Some(from) = document.as_object_mut().and_then(|members| members.remove("from")) {
        let kinds: Vec<&str> = from.as_str().unwrap_or_default().split('|').collect();
        if let Some(odd) = kinds.iter().find(|kind| !["obs", "dataset"].contains(*kind)) {
            return Err(format!("[{text}]: an input comes from obs or dataset, not from [{odd}]"));
        }
        let constraint = |kind: &&str| json!({"data_type": kind, "attributes": []});
        document["remote_constraints"] = kinds.iter().map(constraint).collect();
    }
    Ok(document)
}

fn output(text: &str) -> Result<Value, String> {
    channel(text, &["description"])
}

fn channel(text: &str, known: &[&str]) -> Result<Value, String> {
    let mut parts = text.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    if name.is_empty() || name.contains('=') {
        return Err(format!("[{text}] begins with no name"));
    }
    let mut document = json!({"name": name});
    for part in parts.filter(|part| !part.is_empty()) {
        match part.split_once('=') {
            Some((key, value)) if known.contains(&key.trim()) => document[key.trim()] = json!(value.trim()),
            _ => return Err(format!("[{text}]: [{part}] is none of {}=", known.join("=, "))),
        }
    }
    Ok(document)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{input, output};

    #[test]
    fn channels_are_read_from_one_text() {
        assert_eq!(output("train_url").unwrap(), json!({"name": "train_url"}));
        let data = input("data_url;description=the digits;from=obs|dataset").unwrap();
        assert_eq!(data["description"], "the digits");
        assert_eq!(data["remote_constraints"][1]["data_type"], "dataset");
        for wrong in ["", "a=b", "x;from=tape", "x;colour=red"] {
            assert!(input(wrong).is_err(), "{wrong}");
        }
        assert!(output("x;from=obs").is_err());
    }
}
