//! Identity: credentials, request signing, tokens. Knows nothing of settings or of the terminal.

pub mod ambient;
pub mod authenticator;
pub mod cache;
pub mod caller;
pub mod credential;
pub mod error;
mod flight;
mod identity;
pub mod project;
pub mod refresh;
pub mod report;
pub mod secret;
pub mod sign;
pub mod temporary;
pub mod token;

pub use ambient::AmbientKeys;
pub use authenticator::{Authenticator, Project};
pub use cache::Cache;
pub use credential::{Credential, CredentialSource, StaticCredential};
pub use error::Error;
pub use project::ProjectLookup;
pub use report::CredentialReport;
pub use secret::Secret;
pub use temporary::{Agency, AgencyKeys, TemporaryKeys};
pub use token::{Login, TokenSource};
