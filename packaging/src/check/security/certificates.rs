//! Certificates that nobody granted, and openssl, which is asked what it makes of ports and certificates. Does not know
//! which of them a port must refuse.

use super::house::House;
use anyhow::{Context, Result};
use rcgen::{CertificateParams, Issuer, KeyPair, PKCS_ECDSA_P256_SHA256, SanType};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Why checks that need openssl are skipped where it is not.
pub(super) const NO_OPENSSL: &str = "openssl is not installed";

/// A certificate and its key, PEM.
pub(super) struct Pair {
    pub(super) certificate: String,
    pub(super) key: String,
}

impl Pair {
    /// Writes both beside each other; gives their paths.
    pub(super) fn keep(&self, house: &House, name: &str) -> Result<(PathBuf, PathBuf)> {
        let paths = (house.world.path(&format!("{name}.pem")), house.world.path(&format!("{name}.key")));
        std::fs::write(&paths.0, &self.certificate)?;
        std::fs::write(&paths.1, &self.key)?;
        Ok(paths)
    }
}

/// One that signs itself.
pub(super) fn self_signed(params: CertificateParams) -> Result<Pair> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    Ok(Pair { certificate: params.self_signed(&key)?.pem(), key: key.serialize_pem() })
}

/// One that the collector's CA of this file signs, with its real key.
pub(super) fn signed(house: &House, ca: &str, params: &CertificateParams) -> Result<Pair> {
    let text = house.world.read(&format!("collector/pki/{ca}"));
    let (key, certificate) = text.split_at(text.find("-----BEGIN CERTIFICATE-----").context("a certificate")?);
    let issuer = Issuer::from_ca_cert_pem(certificate, KeyPair::from_pem(key)?)?;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    Ok(Pair { certificate: params.signed_by(&key, &issuer)?.pem(), key: key.serialize_pem() })
}

/// What a certificate says that names this agent of this house.
pub(super) fn agent_params(house: &House, agent: &str) -> Result<CertificateParams> {
    let deployment = house.world.read("collector/pki/deployment");
    let mut params = CertificateParams::default();
    let uri = format!("muster://{}/agent/{agent}", deployment.trim());
    params.subject_alt_names = vec![SanType::URI(uri.try_into()?)];
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params)
}

/// Whether openssl is there.
pub(super) fn openssl() -> bool {
    Command::new("openssl").arg("version").output().is_ok_and(|out| out.status.success())
}

/// Runs openssl, which must succeed; gives its output.
pub(super) fn run_openssl(args: &[&str], input: &[u8]) -> Result<String> {
    let out = feed(Command::new("openssl").args(args), input)?;
    anyhow::ensure!(out.status.success(), "openssl {}: {}", args.join(" "), String::from_utf8_lossy(&out.stderr));
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// What `openssl s_client` gets of a port for one request, with or without a certificate: answer and messages.
pub(super) fn s_client(to: SocketAddr, pair: Option<(&Path, &Path)>) -> Result<(String, String)> {
    let to = to.to_string();
    let mut command = Command::new("timeout");
    command.args(["10", "openssl", "s_client", "-quiet", "-ign_eof", "-connect", &to]);
    if let Some((certificate, key)) = pair {
        command.arg("-cert").arg(certificate).arg("-key").arg(key);
    }
    let request = b"GET /v1/settings HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let out = feed(&mut command, request)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((text(&out.stdout), text(&out.stderr)))
}

/// Runs a command with this input.
pub(super) fn feed(command: &mut Command, input: &[u8]) -> Result<Output> {
    let name = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| name.clone())?;
    if let Some(mut stdin) = child.stdin.take() {
        // It may end before it took all.
        let _ = stdin.write_all(input);
    }
    child.wait_with_output().with_context(|| name)
}
