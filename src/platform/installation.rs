//! What a platform keeps from its first start on: its account and its ports.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::error::Error;
use super::files::{self, write_private};
use super::identity::Account;

/// Where free ports are looked for at the first start: below the range from which systems take the ports of outgoing
/// connections, so that a kept port is free again at the next start.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// How many ports are tried before the system is asked for any.
const MOST_ATTEMPTS: usize = 32;

/// The kept choices of one data directory.
#[derive(Clone, Debug)]
pub struct Installation {
    /// The account of the first start.
    pub account: Account,
    port: Option<u16>,
    obs_port: Option<u16>,
    path: PathBuf,
}

impl Installation {
    /// Reads the choices of earlier starts, or makes an account.
    ///
    /// # Errors
    /// The file cannot be read, or is damaged: a new account would orphan everything that is stored.
    pub(crate) fn open(data_dir: &Path) -> Result<Self, Error> {
        if let Some(installation) = Self::read(data_dir)? {
            return Ok(installation);
        }
        let path = data_dir.join(files::INSTALLATION);
        let installation = Self { account: Account::random()?, port: None, obs_port: None, path };
        installation.save()?;
        Ok(installation)
    }

    /// Reads the choices of earlier starts; `None` when there was none.
    ///
    /// # Errors
    /// The file cannot be read, or is damaged.
    pub fn read(data_dir: &Path) -> Result<Option<Self>, Error> {
        let path = data_dir.join(files::INSTALLATION);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::file("read", &path)(error)),
        };
        let damaged = |problem: String| Error::Damaged { path: path.clone(), problem };
        let document: Value = serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        let account = Account::from_document(&document["account"])
            .ok_or_else(|| damaged("a field of the account is missing".to_owned()))?;
        let port = |name: &str| document[name].as_u64().and_then(|port| u16::try_from(port).ok());
        let (port, obs_port) = (port("port"), port("obs_port"));
        Ok(Some(Self { account, port, obs_port, path }))
    }

    /// Listens on both ports and remembers them.
    ///
    /// # Errors
    /// A port that was asked for or kept is taken.
    pub(crate) async fn listen(
        &mut self,
        port: Option<u16>,
        obs_port: Option<u16>,
    ) -> Result<(TcpListener, TcpListener), Error> {
        let control = listen(port.or(self.port), "--port").await?;
        let store = listen(obs_port.or(self.obs_port), "--obs-port").await?;
        let ports = (Some(local_port(&control)?), Some(local_port(&store)?));
        if ports != (self.port, self.obs_port) {
            (self.port, self.obs_port) = ports;
            self.save()?;
        }
        Ok((control, store))
    }

    fn save(&self) -> Result<(), Error> {
        let document =
            json!({"version": 1, "account": self.account.to_document(), "port": self.port, "obs_port": self.obs_port});
        write_private(&self.path, format!("{document:#}\n").as_bytes())
    }
}

fn local_port(listener: &TcpListener) -> Result<u16, Error> {
    Ok(listener.local_addr().map_err(|source| Error::Listen { port: 0, source })?.port())
}

/// Listens on the port, or on a free one when none is given.
async fn listen(port: Option<u16>, option: &'static str) -> Result<TcpListener, Error> {
    if let Some(port) = port {
        return TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|source| match source.kind() {
            std::io::ErrorKind::AddrInUse => Error::PortTaken { port, option },
            _ => Error::Listen { port, source },
        });
    }
    for _ in 0..MOST_ATTEMPTS {
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, fastrand::u16(PORTS))).await {
            return Ok(listener);
        }
    }
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(|source| Error::Listen { port: 0, source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::{Error, Installation, local_port};

    #[tokio::test]
    async fn account_and_ports_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let mut first = Installation::open(folder.path()).unwrap();
        let (control, store) = first.listen(None, None).await.unwrap();
        let ports = (local_port(&control).unwrap(), local_port(&store).unwrap());
        let mode = first.path.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let mut second = Installation::open(folder.path()).unwrap();
        assert_eq!(second.account.to_document(), first.account.to_document());
        let taken = second.listen(None, None).await.unwrap_err();
        assert!(matches!(taken, Error::PortTaken { port, option: "--port" } if port == ports.0), "{taken:?}");
        drop((control, store));
        let (control, store) = second.listen(None, None).await.unwrap();
        assert_eq!((local_port(&control).unwrap(), local_port(&store).unwrap()), ports);
    }

    #[test]
    fn a_damaged_file_is_an_error_and_not_a_new_account() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["", "{", "{\"account\": {}}"] {
            std::fs::write(folder.path().join("platform.json"), text).unwrap();
            assert!(matches!(Installation::open(folder.path()), Err(Error::Damaged { .. })), "{text}");
        }
    }
}
