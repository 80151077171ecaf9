//! Identities: the authority of a server or gateway, a site's key and certificate, and the files they are stored in.

mod authority;
mod certified;
mod files;
mod gateway_certificate;
mod https_certificate;
mod leaf;
mod leaf_names;
mod quic_secrets;
mod resolver;
mod signing_authority;
mod site;
mod site_key;
mod x509;

pub use authority::Authority;
pub use gateway_certificate::GatewayCertificate;
pub use https_certificate::{HttpsCertificate, HttpsCertificateError, HttpsCertificates};
pub use site::{SiteCredentials, SiteIdentity};
pub use site_key::SiteKey;

pub(crate) use gateway_certificate::CurrentGatewayCertificate;
pub(crate) use https_certificate::ApiResolver;
pub(crate) use leaf::LEAF_AGE_MAX;
pub(crate) use resolver::LeafResolver;
pub(crate) use signing_authority::CLOCK_SLACK as LEAF_SLACK;
pub(crate) use x509::{CertificateFacts, Ed25519PublicKey, GATEWAY_NAME, SERVER_NAME, authority_name, gateway_name};
