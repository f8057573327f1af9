//! What the copied objects are given besides their bytes.

use std::path::PathBuf;

use crate::error::{Error, Kind};
use crate::obs::attributes::{Attributes, CustomerKey, Encryption, Metadata, dialect_class, header_text};

/// A larger file is no key.
const LARGEST_KEY: u64 = 4096;

/// Options about the objects themselves.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Objects")]
pub(super) struct AttributeArgs {
    /// Content type of the objects [default: guessed from the end of each name]
    #[arg(long, value_name = "TYPE", value_parser = header_text)]
    content_type: Option<String>,
    /// Cache-Control of the objects, such as max-age=3600
    #[arg(long, value_name = "VALUE", value_parser = header_text)]
    cache_control: Option<String>,
    /// Metadata of the objects; can be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    metadata: Vec<(String, String)>,
    /// Storage class of the objects: STANDARD, WARM, COLD, DEEP_ARCHIVE or INTELLIGENT_TIERING
    #[arg(long, value_name = "CLASS", value_parser = storage_class)]
    storage_class: Option<String>,
    /// Who may read and write the objects
    #[arg(long, value_name = "ACL", value_parser = clap::builder::PossibleValuesParser::new(
        ["private", "public-read", "public-read-write", "authenticated-read", "bucket-owner-read", "bucket-owner-full-control"]))]
    acl: Option<String>,
    /// Let the store encrypt the objects: with a key of its own, of the key management service, or with one given
    #[arg(long, value_name = "HOW",
          value_parser = clap::builder::PossibleValuesParser::new(["AES256", "kms", "customer"]), ignore_case = true)]
    sse: Option<String>,
    /// Key of the key management service [default: the service's own]
    #[arg(long, value_name = "ID", value_parser = header_text)]
    sse_kms_key_id: Option<String>,
    /// File with the key for --sse customer: 32 bytes, plain, in hex or in base64; needed for downloads too
    #[arg(long, value_name = "FILE")]
    sse_customer_key_file: Option<PathBuf>,
}

impl AttributeArgs {
    /// What was asked for; reads the file with the key.
    ///
    /// # Errors
    /// Options that contradict one another, metadata that cannot be sent, a key that cannot be read.
    pub(super) fn read(&self) -> Result<Attributes, Error> {
        let mut metadata = Metadata::default();
        for (name, value) in &self.metadata {
            metadata.add(name, value).map_err(|reason| usage(format!("--metadata {name}: {reason}")))?;
        }
        Ok(Attributes {
            content_type: self.content_type.clone(),
            guess_type: true,
            cache_control: self.cache_control.clone(),
            storage_class: self.storage_class.clone(),
            acl: self.acl.clone(),
            encryption: self.encryption()?,
            metadata,
            ..Attributes::default()
        })
    }

    fn encryption(&self) -> Result<Option<Encryption>, Error> {
        let sse = self.sse.as_deref().map(str::to_ascii_lowercase);
        let (id, file) = (&self.sse_kms_key_id, &self.sse_customer_key_file);
        match (sse.as_deref(), id, file) {
            (Some("aes256"), None, None) => Ok(Some(Encryption::Store)),
            (Some("kms") | None, Some(id), None) => Ok(Some(Encryption::Kms(Some(id.clone().into())))),
            (Some("kms"), None, None) => Ok(Some(Encryption::Kms(None))),
            (Some("customer") | None, None, Some(file)) => Ok(Some(Encryption::Customer(read_key(file)?))),
            (Some("customer"), None, None) => Err(usage("--sse customer needs --sse-customer-key-file".to_owned())),
            (None, None, None) => Ok(None),
            _ => Err(usage("--sse-kms-key-id is for --sse kms, --sse-customer-key-file for --sse customer".to_owned())),
        }
    }
}

fn usage(message: String) -> Error {
    Error::new(Kind::Usage, message)
}

fn read_key(path: &std::path::Path) -> Result<CustomerKey, Error> {
    let unusable =
        |reason: String| Error::new(Kind::Local, format!("the key in [{}] cannot be used: {reason}", path.display()));
    let status = std::fs::metadata(path).map_err(|error| unusable(error.to_string()))?;
    if status.len() > LARGEST_KEY {
        return Err(unusable("it is too large".to_owned()));
    }
    CustomerKey::parse(&std::fs::read(path).map_err(|error| unusable(error.to_string()))?).map_err(unusable)
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("metadata is NAME=VALUE")?;
    Metadata::default().add(name, value)?;
    Ok((name.to_owned(), value.to_owned()))
}

fn storage_class(text: &str) -> Result<String, String> {
    let unknown = || "a storage class is STANDARD, WARM, COLD, DEEP_ARCHIVE or INTELLIGENT_TIERING".to_owned();
    dialect_class(text).map(str::to_owned).ok_or_else(unknown)
}
