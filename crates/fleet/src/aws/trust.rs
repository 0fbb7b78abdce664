// SPDX-License-Identifier: Apache-2.0
//! The trusted certificate authorities: those of a file named by the environment, or the system's.

use std::{ffi::OsString, path::Path};

use anyhow::{Context, ensure};
use aws_smithy_http_client::tls::{TlsContext, TrustStore};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

/// AWS's own variable: only the authorities in this file are trusted, as in the AWS CLI.
///
/// Source: <https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-envvars.html>
const BUNDLE: &str = "AWS_CA_BUNDLE";

/// OpenSSL's variables, which replace the system's files.
const FILE: &str = "SSL_CERT_FILE";
const FOLDERS: &str = "SSL_CERT_DIR";

/// The authorities that the variables name, or the system's.
///
/// # Errors
///
/// If a named file or folder can't be used; the error names the variable.
pub(super) fn from_environment(variable: impl Fn(&str) -> Option<OsString>) -> anyhow::Result<TlsContext> {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    let mut store = TrustStore::default();
    if let Some(path) = set(BUNDLE) {
        store = TrustStore::empty().with_pem_certificate(read(BUNDLE, Path::new(&path))?);
    } else {
        // The HTTP client reads them once more, but only warns about unreadable ones.
        if let Some(path) = set(FILE) {
            read(FILE, Path::new(&path))?;
        }
        for folder in set(FOLDERS).iter().flat_map(std::env::split_paths) {
            let context = || format!("{FOLDERS}: {} can't be read", folder.display());
            std::fs::read_dir(&folder).with_context(context)?;
        }
    }
    TlsContext::builder().with_trust_store(store).build().context("the trusted authorities can't be used")
}

/// The text of a file of certificates, all of which are usable.
fn read(variable: &str, path: &Path) -> anyhow::Result<Vec<u8>> {
    let context = || format!("{variable}: {} can't be used", path.display());
    let pem = std::fs::read(path).with_context(context)?;
    let mut store = RootCertStore::empty();
    for (nth, certificate) in (1..).zip(CertificateDer::pem_slice_iter(&pem)) {
        let number = || format!("its certificate number {nth}");
        let certificate = certificate.with_context(number).with_context(context)?;
        store.add(certificate).with_context(number).with_context(context)?;
    }
    ensure!(!store.is_empty(), "{}: it contains no PEM certificate", context());
    Ok(pem)
}
