//! Identities: the server's authority, a site's key and certificate, and the files they are stored in.

mod authority;
mod certified;
mod files;
mod https_certificate;
mod leaf;
mod quic_secrets;
mod resolver;
mod signing_authority;
mod site;
mod x509;

pub use authority::Authority;
pub use https_certificate::{HttpsCertificate, HttpsCertificateError, HttpsCertificates};
pub use site::{SiteCredentials, SiteIdentity, SiteKey};

pub(crate) use https_certificate::ApiResolver;
pub(crate) use leaf::LEAF_AGE_MAX;
pub(crate) use resolver::LeafResolver;
pub(crate) use signing_authority::CLOCK_SLACK as LEAF_SLACK;
pub(crate) use x509::{CertificateFacts, Ed25519PublicKey, SERVER_NAME, authority_name};
