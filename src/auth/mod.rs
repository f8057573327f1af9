//! Identity: credentials, request signing, tokens. Knows nothing of settings or of the terminal.

pub mod credential;
pub mod error;
pub mod secret;

pub use credential::{Credential, CredentialSource, StaticCredential};
pub use error::Error;
pub use secret::Secret;
