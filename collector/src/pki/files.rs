//! The folder `pki` of the state directory.
//!
//! `server-ca.pem` and `agent-ca.pem` hold a key and its certificate in one file each, `deployment` the id that
//! agents carry in their names and that is written last. So a first start that was cut short is simply made
//! again, while a folder that lost a file later is refused: a new authority would lock out every agent.

use super::Error;
use super::issue::{self, Ca};
use crate::secret;
use rcgen::{Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use shared::unit::At;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use uuid::Uuid;
use zeroize::Zeroizing;

/// The authority of collectors: key and certificate.
pub const SERVER_CA: &str = "server-ca.pem";
/// The authority of agents: key and certificate.
pub const AGENT_CA: &str = "agent-ca.pem";
/// The id of the deployment; written last.
pub const DEPLOYMENT: &str = "deployment";
/// A root's file is about 1 KiB.
const FILE_BYTES: u64 = 64 * 1024;

/// The deployment, the server CA and the agent CA of this folder; made when there is no deployment yet.
///
/// # Errors
/// [`Error::File`], [`Error::Damaged`].
pub fn open(folder: &Path, now: At) -> Result<(Uuid, Ca, Ca), Error> {
    let file = |error| Error::File { path: folder.to_owned(), error };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(file)?;
    if read(&folder.join(DEPLOYMENT))?.is_none() {
        for (name, title) in [(SERVER_CA, "Muster server CA"), (AGENT_CA, "Muster agent CA")] {
            write(folder, name, &issue::root(title, now)?)?;
        }
        let deployment = uuid::Builder::from_random_bytes(secret::random()?).into_uuid();
        write(folder, DEPLOYMENT, &format!("{}\n", deployment.hyphenated()))?;
    }
    let path = folder.join(DEPLOYMENT);
    let text = read(&path)?.unwrap_or_default();
    let deployment = Uuid::try_parse(text.trim()).map_err(|_| Error::Damaged { path, what: "not a UUID".into() })?;
    Ok((deployment, load(&folder.join(SERVER_CA))?, load(&folder.join(AGENT_CA))?))
}

fn load(path: &Path) -> Result<Ca, Error> {
    let damaged = |what: String| Error::Damaged { path: path.to_owned(), what };
    let text = read(path)?.ok_or_else(|| damaged("is missing".into()))?;
    let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|error| damaged(format!("no key: {error}")))?;
    let key = KeyPair::try_from(&key).map_err(|error| damaged(format!("no key: {error}")))?;
    let der =
        CertificateDer::from_pem_slice(text.as_bytes()).map_err(|error| damaged(format!("no certificate: {error}")))?;
    let issuer = Issuer::from_ca_cert_der(&der, key).map_err(|error| damaged(format!("no certificate: {error}")))?;
    let start = text.find("-----BEGIN CERTIFICATE-----").unwrap_or_default();
    let pem = text.get(start..).unwrap_or_default().to_owned();
    Ok(Ca { issuer, der, pem })
}

fn read(path: &Path) -> Result<Option<Zeroizing<String>>, Error> {
    let file = |error| Error::File { path: path.to_owned(), error };
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(file(error)),
        Ok(metadata) if metadata.len() > FILE_BYTES => {
            return Err(Error::Damaged { path: path.to_owned(), what: format!("larger than {FILE_BYTES} bytes") });
        }
        Ok(_) => {}
    }
    fs::read_to_string(path).map(|text| Some(Zeroizing::new(text))).map_err(file)
}

/// Writes a file that only its owner may read, so that it is there whole or not at all after a power cut.
fn write(folder: &Path, name: &str, text: &str) -> Result<(), Error> {
    let path = folder.join(name);
    let temporary = folder.join(format!("{name}.new"));
    let done = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, &path)?;
        fs::File::open(folder)?.sync_all()
    };
    done().map_err(|error| Error::File { path: path.clone(), error })
}
