//! Interprets the responses of Route 53, including its errors.

use linecamp_provider::prelude::*;

use crate::xml::Element;

/// Error codes that request a retry, in addition to the HTTP statuses that do.
const PATIENCE: [&str; 6] = [
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "PriorRequestNotComplete",
    "ServiceUnavailable",
    "ConcurrentModification",
];

/// Error codes about the credentials, in addition to the HTTP statuses.
const CREDENTIALS: [&str; 8] = [
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
const SOMETHING_ELSE: [&str; 4] =
    ["already exists", "was not found", "do not match the current values", "conflicts with other records"];

/// Parses a response that must be successful and have this root element: an interposed system, such as a hotel's login
/// page, also answers with a success status.
pub(crate) fn read(answer: Response, root: &str) -> Result<Element, Failure> {
    match answer.status() {
        200..=299 => match Element::parse(&answer.text()) {
            Ok(element) if element.name == root => Ok(element),
            Ok(element) => Err(answer.malformed(format!("`{}` in the place of `{root}`", element.name))),
            Err(error) => Err(answer.malformed(error)),
        },
        _ => Err(Trouble::of(&answer).failure(&answer)),
    }
}

/// Parses the response to a batch of these changes.
pub(crate) fn of_batch(answer: Response, changes: &[&Change]) -> Result<(), Failure> {
    if (200..=299).contains(&answer.status()) {
        return read(answer, "ChangeResourceRecordSetsResponse").map(drop);
    }
    let trouble = Trouble::of(&answer);
    let failure = trouble.failure(&answer);
    if trouble.code != "InvalidChangeBatch" {
        return Err(failure);
    }
    // Route 53 names a record set as `[name='NAME', type='TYPE']` or `DNS name NAME`, with or without the trailing dot.
    let is_named = |change: &&&Change| {
        let mut words = trouble.message.split([' ', '\'', ',', '[', ']']);
        words.any(|word| names::canonical(word) == change.name())
    };
    let only = if changes.len() == 1 { changes.first() } else { None };
    let blamed = changes.iter().find(is_named).or(only);
    let is_conflict = SOMETHING_ELSE.iter().any(|words| trouble.message.contains(words));
    match (blamed, is_conflict) {
        (Some(change), true) => Err(Failure::conflict(change.name(), trouble.message)),
        (None, true) => Err(Failure::conflict(changes.first().map_or("", |change| change.name()), trouble.message)),
        (Some(change), false) => Err(failure.name(change.name())),
        (None, false) => Err(failure),
    }
}

/// The content of an error response.
struct Trouble {
    code: String,
    message: String,
}

impl Trouble {
    fn of(answer: &Response) -> Self {
        let Ok(root) = Element::parse(&answer.text()) else {
            return Self { code: String::new(), message: String::new() };
        };
        let message = root.texts("Message").join("; ");
        // Some errors are a root element of their own instead of `ErrorResponse`.
        let code = root.texts("Code").first().map_or(root.name.as_str(), |code| code).to_owned();
        Self { code, message }
    }

    fn failure(&self, answer: &Response) -> Failure {
        let failure = answer.failure();
        let code = self.code.as_str();
        let reason = failure.reason().to_owned();
        if PATIENCE.contains(&code) {
            return Failure::Retry { after: answer.retry_after(), reason };
        }
        if CREDENTIALS.contains(&code) {
            let is_late = code == "RequestExpired" || ["expired", "not yet current"].iter().any(|w| reason.contains(w));
            let advice = if is_late { ". Is the site's clock right?" } else { "" };
            return Failure::unauthorized(format!("{reason}{advice}"));
        }
        if code == "NoSuchHostedZone" {
            return Failure::refused(reason).field("zone_ids");
        }
        failure
    }
}
