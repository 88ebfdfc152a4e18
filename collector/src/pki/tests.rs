use super::*;
use crate::clock;
use proof::Unproven;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rcgen::{PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SigningKey as _};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, UnixTime};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;
use x509_parser::prelude::{FromDer as _, X509Certificate};

fn id(n: u128) -> AgentId {
    AgentId(Uuid::from_u128(n))
}

fn authority() -> (tempfile::TempDir, Authority) {
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::open(&folder.path().join("pki"), clock::now()).expect("an authority");
    (folder, authority)
}

fn csr(key: &KeyPair) -> Vec<u8> {
    CertificateParams::default().serialize_request(key).expect("a request").der().to_vec()
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")
}

#[test]
fn only_the_public_key_of_a_request_is_used() {
    let (_folder, authority) = authority();
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    let mut wish = CertificateParams::new(vec!["collector.example.org".into()]).expect("params");
    wish.distinguished_name.push(DnType::CommonName, "admin");
    wish.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    wish.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let request = wish.serialize_request(&key).expect("a request");
    let requested = proof::request(request.der()).expect("a right request");

    let now = clock::now();
    let expires = now.plus_secs(7 * 86_400);
    let pem = authority.roots().sign_agent(id(7), &requested.key, 5, now, expires).expect("a certificate");
    let der = der(&pem);
    let (_, cert) = X509Certificate::from_der(&der).expect("a certificate");
    let names: Vec<String> =
        cert.subject().iter_common_name().map(|name| name.as_str().expect("text").into()).collect();
    assert_eq!(names, ["muster agent"]);
    assert!(!cert.basic_constraints().expect("one").expect("some").value.ca);
    let usage = cert.extended_key_usage().expect("one").expect("some").value;
    assert!(usage.client_auth && !usage.server_auth && !usage.any);
    assert_eq!(cert.validity().not_before.timestamp(), now.secs() - 300);
    assert_eq!(cert.validity().not_after.timestamp(), expires.secs());

    let shown = proof::certificate(&der, authority.deployment()).expect("an agent's certificate");
    assert_eq!(
        shown,
        proof::Shown {
            agent: id(7),
            fingerprint: requested.fingerprint,
            generation: 5,
            roots: 0,
            expires: At::from_secs(expires.secs())
        }
    );
    assert_eq!(proof::certificate(&der, Uuid::nil()), Err(Unproven::Foreign));
}

#[test]
fn a_serial_without_a_generation_tells_none() {
    for other in [&[0x7f; 16][..], &[0x7f; 19], &[1; 17], &[1; 20], &[]] {
        assert_eq!(issue::count(other), Count::default());
    }
}

#[test]
fn other_keys_and_damaged_requests_are_refused() {
    let malformed = Unproven::Malformed("certificate signing request");
    for algorithm in [&PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
        let key = KeyPair::generate_for(algorithm).expect("a key");
        assert_eq!(proof::request(&csr(&key)), Err(Unproven::Key));
    }
    let good = csr(&KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key"));
    let mut forged = good.clone();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    assert!(matches!(proof::request(&forged), Err(Unproven::Signature | Unproven::Malformed(_))));
    assert_eq!(proof::request(&[good.clone(), vec![0]].concat()), Err(malformed));
    assert_eq!(proof::request(&good[..good.len() - 1]), Err(malformed));
    assert_eq!(proof::request(&vec![0x30; limit_bytes() + 1]), Err(malformed));
}

fn limit_bytes() -> usize {
    shared::limit::CSR_BYTES
}

#[test]
fn recovery_wants_a_certificate_of_ours_and_its_key() {
    let (_folder, ours) = authority();
    let (_other_folder, other) = authority();
    let old = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    let stranger = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    let requested = proof::request(&csr(&old)).expect("a request");
    let long_ago = At::from_secs(1_600_000_000);
    let sign = |authority: &Authority| {
        let pem =
            authority.roots().sign_agent(id(7), &requested.key, 3, long_ago, long_ago.plus_secs(60)).expect("signed");
        der(&pem)
    };
    let message = b"muster-recover-1\n3\n...";
    let signature = old.sign(message).expect("a signature");

    let shown = proof::recovery(&ours, &sign(&ours), message, &signature).expect("recovered");
    assert_eq!((shown.agent, shown.fingerprint), (id(7), requested.fingerprint.clone()));
    assert_eq!(proof::recovery(&ours, &sign(&ours), b"other", &signature), Err(Unproven::Signature));
    let wrong = stranger.sign(message).expect("a signature");
    assert_eq!(proof::recovery(&ours, &sign(&ours), message, &wrong), Err(Unproven::Signature));
    assert_eq!(proof::recovery(&ours, &sign(&other), message, &signature), Err(Unproven::Foreign));
    // The other authority's key under our deployment's name.
    let uri = proof::agent_uri(ours.deployment(), id(7));
    let count = Count { generation: 3, roots: 0 };
    let forged =
        issue::agent(&other.roots().present().agents, &uri, &requested.key, count, long_ago, long_ago.plus_secs(60));
    let forged = der(&forged.expect("signed"));
    assert_eq!(proof::recovery(&ours, &forged, message, &signature), Err(Unproven::Foreign));
}

#[test]
fn an_authority_is_found_again_and_never_made_twice() {
    let (folder, first) = authority();
    let pki = folder.path().join("pki");
    let again = Authority::open(&pki, clock::now()).expect("the same");
    assert_eq!((again.deployment(), again.server_ca()), (first.deployment(), first.server_ca()));
    for name in ["server-ca.pem", "agent-ca.pem", "deployment"] {
        let mode = std::fs::metadata(pki.join(name)).expect("a file").permissions().mode() & 0o777;
        assert_eq!((name, mode), (name, 0o600));
    }
    assert!(!first.server_ca()[0].contains("PRIVATE"));

    std::fs::remove_file(pki.join("agent-ca.pem")).expect("removed");
    assert!(matches!(Authority::open(&pki, clock::now()), Err(Error::Damaged { .. })));
}

#[test]
fn a_first_start_that_was_cut_short_is_made_again() {
    let (folder, _) = authority();
    let pki = folder.path().join("pki");
    std::fs::remove_file(pki.join("deployment")).expect("removed");
    std::fs::write(pki.join("agent-ca.pem"), "half").expect("written");
    Authority::open(&pki, clock::now()).expect("a new one");
}

#[test]
fn the_server_certificate_is_replaced_at_half_its_life() {
    let (_folder, authority) = authority();
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = tls::Certificate::new(&authority, &names).expect("a certificate");
    let now = clock::now();
    assert!(!certificate.renew(now).expect("not due"));
    assert!(certificate.renew(now.plus_secs(issue::SERVER_S / 2 + 1)).expect("due"));
    let bad = tls::Certificate::new(&authority, &["ü b".to_owned()]);
    assert!(matches!(bad, Err(Error::Name(name)) if name == "ü b"));
}

#[test]
fn agents_are_judged_by_the_agent_root_alone() {
    let (_folder, authority) = authority();
    let verifier = tls::OfAgents(authority.clone());
    let roots = authority.roots();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(clock::now().secs() as u64));
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    let requested = proof::request(&csr(&key)).expect("a request");
    let signed = |lifetime_s| {
        let pem =
            authority.roots().sign_agent(id(7), &requested.key, 1, clock::now(), clock::now().plus_secs(lifetime_s));
        der(&pem.expect("signed"))
    };
    assert!(verifier.verify_client_cert(&signed(60), &[], now).is_ok());
    assert!(verifier.verify_client_cert(&signed(-60), &[], now).is_err());
    let (server, _) =
        issue::server(&roots.present().server, &["localhost".into()], clock::now()).expect("a certificate");
    assert!(verifier.verify_client_cert(server.der(), &[], now).is_err());
    let own = CertificateParams::default().self_signed(&key).expect("self-signed");
    assert!(verifier.verify_client_cert(own.der(), &[], now).is_err());
}

#[test]
fn a_rotation_is_taken_up_step_by_step_and_found_again() {
    let (folder, authority) = authority();
    let pki = folder.path().join("pki");
    let verifier = tls::OfAgents(authority.clone());
    let names = ["localhost".to_owned()];
    let shown = tls::Certificate::new(&authority, &names).expect("a certificate");
    let moment = UnixTime::since_unix_epoch(Duration::from_secs(clock::now().secs() as u64));
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    let requested = proof::request(&csr(&key)).expect("a request");
    let signed = || {
        let (roots, now) = (authority.roots(), clock::now());
        der(&roots.sign_agent(id(7), &requested.key, 1, now, now.plus_secs(60)).expect("signed"))
    };
    let revision = |der: &[u8]| proof::certificate(der, authority.deployment()).expect("ours").roots;
    let (first, old_root) = (signed(), authority.server_ca()[0].clone());

    let (mut certificates, mut handed_out) = (vec![first.clone()], Vec::new());
    for step in [Step::Prepare, Step::Activate, Step::Retire] {
        let written = authority.write(step, clock::now()).expect("written");
        assert_eq!(authority.server_ca().len(), handed_out.last().map_or(1, Vec::len), "nothing counts yet");
        authority.take_up(written).expect("taken up");
        handed_out.push(authority.server_ca());
        certificates.push(signed());
        let again = Authority::open(&pki, clock::now()).expect("the same");
        assert_eq!((again.server_ca(), again.roots().state()), (authority.server_ca(), authority.roots().state()));
    }
    let [prepared, activated, retired] = handed_out.as_slice() else { panic!("three steps") };
    assert_eq!((prepared.len(), &prepared[0]), (2, &old_root), "the present one stands first");
    assert_eq!(activated.iter().rev().collect::<Vec<_>>(), prepared.iter().collect::<Vec<_>>());
    assert_eq!(retired.as_slice(), &activated[..1]);
    assert_eq!(certificates.iter().map(|der| revision(der)).collect::<Vec<_>>(), [0, 1, 2, 3]);
    let trusted = |der| verifier.verify_client_cert(der, &[], moment).is_ok();
    assert_eq!(certificates.iter().map(trusted).collect::<Vec<_>>(), [false, false, true, true]);
    let roots = authority.roots();
    assert_eq!([0, 1, 2, 3].map(|revision| roots.is_trusted(revision)), [false, false, true, true]);
    // It cannot be recovered with either.
    let signature = key.sign(b"message").expect("a signature");
    assert_eq!(proof::recovery(&authority, &first, b"message", &signature), Err(Unproven::Foreign));
    assert!(shown.renew(clock::now()).expect("made"), "other roots sign than when it was made");
    assert!(!shown.renew(clock::now()).expect("not due"));
    let mut left: Vec<String> = std::fs::read_dir(&pki)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    left.sort();
    assert_eq!(left, ["agent-ca-1.pem", "deployment", "rotation", "server-ca-1.pem"]);
}

#[test]
fn roots_that_are_abandoned_leave_no_key_and_their_number_is_not_given_again() {
    let (folder, authority) = authority();
    let pki = folder.path().join("pki");
    let before = authority.server_ca();
    let take = |authority: &Authority, step| {
        authority.take_up(authority.write(step, clock::now()).expect("written")).expect("taken up");
    };
    take(&authority, Step::Prepare);
    // Written and not taken up: the power was cut, and the next start destroys the keys.
    authority.write(Step::Abandon, clock::now()).expect("written");
    assert!(pki.join("server-ca-1.pem").exists());
    let again = Authority::open(&pki, clock::now()).expect("opened");
    assert_eq!((again.server_ca(), again.roots().state().revision), (before.clone(), 2));
    assert!(!pki.join("server-ca-1.pem").exists() && !pki.join("agent-ca-1.pem").exists());
    assert!(
        again.roots().is_behind(1) && again.roots().is_trusted(0),
        "who knows them is told, and nobody is locked out"
    );
    take(&again, Step::Prepare);
    assert_eq!(again.roots().state().next, Some(2));
    // One that is taken back keeps what it was to abandon.
    let written = again.write(Step::Abandon, clock::now()).expect("written");
    again.undo(&written).expect("undone");
    let last = Authority::open(&pki, clock::now()).expect("opened");
    assert_eq!((last.roots().state(), last.server_ca().len()), (again.roots().state(), 2));
    take(&last, Step::Activate);
    assert!(matches!(last.write(Step::Abandon, clock::now()), Err(Error::Order(Phase::Activated))));
}

#[test]
fn a_step_that_was_cut_short_has_not_happened() {
    let (folder, authority) = authority();
    let pki = folder.path().join("pki");
    let before = authority.server_ca();
    // The roots were made, and the power was cut before they counted.
    files::make(&pki, 1, clock::now()).expect("made");
    let again = Authority::open(&pki, clock::now()).expect("opened");
    assert_eq!((again.server_ca(), again.roots().state().phase()), (before.clone(), Phase::Settled));
    let left = std::fs::read(pki.join("server-ca-1.pem")).expect("left alone");
    // The next try writes nothing over; one that is taken back leaves nothing.
    let written = again.write(Step::Prepare, clock::now()).expect("written");
    assert_eq!(written.state().next, Some(2));
    again.undo(&written).expect("undone");
    assert!(!pki.join("server-ca-2.pem").exists());
    assert_eq!(std::fs::read(pki.join("server-ca-1.pem")).expect("left alone"), left);
    assert_eq!(Authority::open(&pki, clock::now()).expect("opened").server_ca(), before);
    assert!(matches!(again.write(Step::Retire, clock::now()), Err(Error::Order(Phase::Settled))));
    // Retired, and the power was cut before the keys were destroyed: the next start does it.
    for step in [Step::Prepare, Step::Activate] {
        again.take_up(again.write(step, clock::now()).expect("written")).expect("taken up");
    }
    assert!(pki.join("server-ca.pem").exists());
    again.write(Step::Retire, clock::now()).expect("written");
    let last = Authority::open(&pki, clock::now()).expect("opened");
    assert_eq!((last.roots().state().present, last.server_ca().len()), (2, 1));
    assert!(!pki.join("server-ca.pem").exists() && !pki.join("agent-ca-1.pem").exists());
    // What says which roots count is not guessed.
    std::fs::write(pki.join("rotation"), "{}").expect("written");
    assert!(matches!(Authority::open(&pki, clock::now()), Err(Error::Damaged { .. })));
    assert!(pki.join("server-ca-2.pem").exists());
}
