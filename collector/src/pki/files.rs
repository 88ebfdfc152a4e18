//! The folder `pki` of the state directory.
//!
//! `server-ca.pem` and `agent-ca.pem` hold a key and its certificate in one file each, `deployment` the id that
//! agents carry in their names and that is written last. So a first start that was cut short is simply made
//! again, while a folder that lost a file later is refused: a new authority would lock out every agent.
//!
//! Roots that a rotation makes have their number in the name (`server-ca-1.pem`), and `rotation` says which numbers
//! count. It alone is replaced, at once and last: a step that was cut short has not happened, and what it left behind
//! counts for nothing and is never written over.

use super::issue::{self, Ca};
use super::rotation::State;
use super::{Error, Pair};
use crate::{durable, secret};
use rcgen::{Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use shared::unit::At;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use uuid::Uuid;
use zeroize::Zeroizing;

/// The folder's name in the state directory.
pub const FOLDER: &str = "pki";
/// The authority of collectors: key and certificate.
pub const SERVER_CA: &str = "server-ca.pem";
/// The authority of agents: key and certificate.
pub const AGENT_CA: &str = "agent-ca.pem";
/// The id of the deployment; written last.
pub const DEPLOYMENT: &str = "deployment";
/// Which roots count, once there was a rotation.
pub const ROTATION: &str = "rotation";
/// A root's file is about 1 KiB.
const FILE_BYTES: u64 = 64 * 1024;

/// The names of the files of the roots of this number: server CA, agent CA.
pub fn names(number: u32) -> [String; 2] {
    [SERVER_CA, AGENT_CA].map(|name| match (number, name.strip_suffix(".pem")) {
        (1.., Some(stem)) => format!("{stem}-{number}.pem"),
        _ => name.to_owned(),
    })
}

/// The number of the roots whose file has this name.
fn number(name: &str) -> Option<u32> {
    if [SERVER_CA, AGENT_CA].contains(&name) {
        return Some(0);
    }
    let stem = name.strip_suffix(".pem")?;
    let number = stem.strip_prefix("server-ca-").or_else(|| stem.strip_prefix("agent-ca-"))?.parse().ok()?;
    names(number).iter().any(|written| written == name).then_some(number)
}

/// The deployment of this folder and where its roots stand; both are made when there is no deployment yet. Keys that
/// were to be destroyed when the power was cut are destroyed now.
///
/// # Errors
/// [`Error::File`], [`Error::Damaged`].
pub fn open(folder: &Path, now: At) -> Result<(Uuid, State), Error> {
    let file = |error| Error::File { path: folder.to_owned(), error };
    durable::make_folder(folder, 0o700).map_err(file)?;
    if read(&folder.join(DEPLOYMENT))?.is_none() {
        make(folder, 0, now)?;
        let deployment = uuid::Builder::from_random_bytes(secret::random()?).into_uuid();
        write(folder, DEPLOYMENT, &format!("{}\n", deployment.hyphenated()))?;
    }
    let path = folder.join(DEPLOYMENT);
    let text = read(&path)?.unwrap_or_default();
    let deployment = Uuid::try_parse(text.trim()).map_err(|_| Error::Damaged { path, what: "not a UUID".into() })?;
    let state = state(folder)?;
    // Else, where they are missing, those that are left would be destroyed.
    pair(folder, state.present)?;
    destroy_before(folder, &state)?;
    Ok((deployment, state))
}

/// Where the roots stand.
///
/// # Errors
/// [`Error::File`], [`Error::Damaged`].
pub fn state(folder: &Path) -> Result<State, Error> {
    let path = folder.join(ROTATION);
    let Some(text) = read(&path)? else { return Ok(State::default()) };
    let state: Option<State> = serde_json::from_str(&text).ok();
    state.filter(State::is_sound).ok_or_else(|| Error::Damaged { path, what: "does not say which roots count".into() })
}

/// From now on these roots count, also after a power cut.
///
/// # Errors
/// [`Error::File`]: those before still do.
pub fn write_state(folder: &Path, state: &State) -> Result<(), Error> {
    // Serialising our own type into memory cannot fail.
    write(folder, ROTATION, &(serde_json::to_string(state).unwrap_or_default() + "\n"))
}

/// Makes the roots of this number.
///
/// # Errors
/// [`Error::File`], [`Error::Sign`], [`Error::Randomness`].
pub fn make(folder: &Path, number: u32, now: At) -> Result<(), Error> {
    for (name, whose) in names(number).iter().zip(["server", "agent"]) {
        let counted = if number == 0 { String::new() } else { format!(" {}", u64::from(number) + 1) };
        write(folder, name, &issue::root(&format!("Muster {whose} CA{counted}"), now)?)?;
    }
    Ok(())
}

/// The roots of this number.
///
/// # Errors
/// [`Error::File`], [`Error::Damaged`].
pub fn pair(folder: &Path, number: u32) -> Result<Pair, Error> {
    let [server, agents] = names(number);
    Ok(Pair { server: load(&folder.join(server))?, agents: load(&folder.join(agents))? })
}

/// A number that no roots have, nor ever had as far as the folder tells.
///
/// # Errors
/// [`Error::File`].
pub fn free_number(folder: &Path, state: &State) -> Result<u32, Error> {
    let numbers = present_numbers(folder)?.into_iter().map(|(number, _)| number);
    let highest = numbers.chain([state.present]).chain(state.other()).chain(state.abandoned).max().unwrap_or(0);
    highest.checked_add(1).ok_or_else(|| Error::Damaged { path: folder.to_owned(), what: "has no free number".into() })
}

/// Destroys the keys of roots that come before all that count, and of those that were abandoned. Other later ones are
/// left alone: they may be those of a folder into which an older `rotation` was copied back.
///
/// # Errors
/// [`Error::File`].
pub fn destroy_before(folder: &Path, state: &State) -> Result<(), Error> {
    let first = state.other().map_or(state.present, |other| other.min(state.present));
    let done = |number: u32| number < first || state.abandoned == Some(number);
    for (_, name) in present_numbers(folder)?.into_iter().filter(|(number, _)| done(*number)) {
        destroy(folder, &name)?;
    }
    Ok(())
}

/// Takes back roots that were made and never counted.
///
/// # Errors
/// [`Error::File`].
pub fn unmake(folder: &Path, number: u32) -> Result<(), Error> {
    names(number).iter().try_for_each(|name| destroy(folder, name))
}

fn present_numbers(folder: &Path) -> Result<Vec<(u32, String)>, Error> {
    let file = |error| Error::File { path: folder.to_owned(), error };
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(file)? {
        let name = entry.map_err(file)?.file_name();
        if let Some((number, name)) = name.to_str().and_then(|name| Some((number(name)?, name.to_owned()))) {
            found.push((number, name));
        }
    }
    Ok(found)
}

/// Writes over a key, then removes its file; both have reached the disk when this returns. What a copying file system
/// or a flash disk keeps besides is not in our hands.
fn destroy(folder: &Path, name: &str) -> Result<(), Error> {
    let path = folder.join(name);
    let done = || -> io::Result<()> {
        let mut file = match OpenOptions::new().write(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            opened => opened?,
        };
        let bytes = usize::try_from(file.metadata()?.len().min(FILE_BYTES)).unwrap_or_default();
        file.write_all(&vec![0; bytes])?;
        file.sync_all()?;
        fs::remove_file(&path)?;
        durable::sync_folder_of(&path)
    };
    done().map_err(|error| Error::File { path: path.clone(), error })
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
    durable::replace(&path, &temporary, text).map_err(|error| Error::File { path, error })
}
