//! Interprets the responses of Route 53, including its errors.

use linecamp_provider::prelude::*;

use crate::xml::Element;

/// Error codes that request a retry, in addition to the HTTP statuses that do.
const RETRY_CODES: [&str; 6] = [
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "PriorRequestNotComplete",
    "ServiceUnavailable",
    "ConcurrentModification",
];

/// Error codes about the credentials, in addition to the HTTP statuses.
const CREDENTIAL_CODES: [&str; 8] = [
    "AccessDenied",
    "ExpiredToken",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "MissingAuthenticationToken",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];

/// Phrases in an `InvalidChangeBatch` message that report a state other than the expected one.
const CONFLICT_PHRASES: [&str; 4] =
    ["already exists", "was not found", "do not match the current values", "conflicts with other records"];

/// Parses a response that must be successful and have this root element: an interposed system, such as a hotel's login
/// page, also answers with a success status.
pub(crate) fn read(response: Response, root: &str) -> Result<Element, ProviderError> {
    match response.status() {
        200..=299 => match Element::parse(&response.text()) {
            Ok(element) if element.name == root => Ok(element),
            Ok(element) => Err(response.malformed(format!("`{}` instead of `{root}`", element.name))),
            Err(error) => Err(response.malformed(error)),
        },
        _ => Err(ServiceError::of(&response).provider_error(&response)),
    }
}

/// Parses the response to a batch of these changes.
pub(crate) fn of_batch(response: Response, changes: &[&Change]) -> Result<(), ProviderError> {
    if (200..=299).contains(&response.status()) {
        return read(response, "ChangeResourceRecordSetsResponse").map(drop);
    }
    let error = ServiceError::of(&response);
    let provider_error = error.provider_error(&response);
    if error.code != "InvalidChangeBatch" {
        return Err(provider_error);
    }
    // Route 53 names a record set as `[name='NAME', type='TYPE']` or `DNS name NAME`, with or without the trailing dot.
    let is_named = |change: &&&Change| {
        let mut words = error.message.split([' ', '\'', ',', '[', ']']);
        words.any(|word| names::canonical(word) == change.name())
    };
    let only = if changes.len() == 1 { changes.first() } else { None };
    let blamed = changes.iter().find(is_named).or(only);
    let is_conflict = CONFLICT_PHRASES.iter().any(|words| error.message.contains(words));
    match (blamed, is_conflict) {
        (Some(change), true) => Err(ProviderError::conflict(change.name(), error.message)),
        (None, true) => Err(ProviderError::conflict(changes.first().map_or("", |change| change.name()), error.message)),
        (Some(change), false) => Err(provider_error.name(change.name())),
        (None, false) => Err(provider_error),
    }
}

/// The content of an error response.
struct ServiceError {
    code: String,
    message: String,
}

impl ServiceError {
    fn of(response: &Response) -> Self {
        let Ok(root) = Element::parse(&response.text()) else {
            return Self { code: String::new(), message: String::new() };
        };
        let message = root.texts("Message").join("; ");
        // Some errors are a root element of their own instead of `ErrorResponse`.
        let code = root.texts("Code").first().map_or(root.name.as_str(), |code| code).to_owned();
        Self { code, message }
    }

    fn provider_error(&self, response: &Response) -> ProviderError {
        let provider_error = response.error();
        let code = self.code.as_str();
        let reason = provider_error.reason().to_owned();
        if RETRY_CODES.contains(&code) {
            return ProviderError::Retry { after: response.retry_after(), reason };
        }
        if CREDENTIAL_CODES.contains(&code) {
            let is_clock_error =
                code == "RequestExpired" || ["expired", "not yet current"].iter().any(|w| reason.contains(w));
            let advice = if is_clock_error { "; check the site's clock" } else { "" };
            return ProviderError::unauthorized(format!("{reason}{advice}"));
        }
        if code == "NoSuchHostedZone" {
            return ProviderError::invalid(reason).field("zone_ids");
        }
        provider_error
    }
}
