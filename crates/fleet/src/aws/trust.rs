//! Which certificate authorities are trusted: those of a file that the environment names, or the system's.

use std::{ffi::OsString, path::Path};

use anyhow::{Context, ensure};
use aws_smithy_http_client::tls::{TlsContext, TrustStore};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

/// AWS's own variable: the authorities in this file alone are trusted, as the AWS CLI has it.
/// Source: <https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-envvars.html>
const BUNDLE: &str = "AWS_CA_BUNDLE";

/// OpenSSL's, which take the place of the system's files.
const FILE: &str = "SSL_CERT_FILE";
const FOLDERS: &str = "SSL_CERT_DIR";

/// The authorities that `variable` names, or the system's.
///
/// # Errors
/// If a file or folder that is named can't be used, with the variable's name.
pub(super) fn of_environment(variable: impl Fn(&str) -> Option<OsString>) -> anyhow::Result<TlsContext> {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    let mut store = TrustStore::default();
    if let Some(path) = set(BUNDLE) {
        store = TrustStore::empty().with_pem_certificate(read(BUNDLE, Path::new(&path))?);
    } else {
        // Read once more by the HTTP client, which only warns of what it can't read.
        if let Some(path) = set(FILE) {
            read(FILE, Path::new(&path))?;
        }
        for folder in set(FOLDERS).iter().flat_map(std::env::split_paths) {
            let told = || format!("{FOLDERS}: {} can't be read", folder.display());
            std::fs::read_dir(&folder).with_context(told)?;
        }
    }
    TlsContext::builder().with_trust_store(store).build().context("the trusted authorities can't be used")
}

/// The text of a file of certificates, each of which can be used.
fn read(variable: &str, path: &Path) -> anyhow::Result<Vec<u8>> {
    let told = || format!("{variable}: {} can't be used", path.display());
    let pem = std::fs::read(path).with_context(told)?;
    let mut store = RootCertStore::empty();
    for (nth, certificate) in (1..).zip(CertificateDer::pem_slice_iter(&pem)) {
        let number = || format!("its certificate number {nth}");
        let certificate = certificate.with_context(number).with_context(told)?;
        store.add(certificate).with_context(number).with_context(told)?;
    }
    ensure!(!store.is_empty(), "{}: it has no certificate in PEM", told());
    Ok(pem)
}
