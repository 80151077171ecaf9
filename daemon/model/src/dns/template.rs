//! Name templates such as `{host}.{site}.{environment}`, expanded for each host.

use std::fmt;

use super::name::{DomainName, DomainNameError};
use crate::name::Name;

/// Maximum bytes of a template: a name, with its placeholders. A longer template is rejected.
const TEMPLATE_BYTES_MAX: usize = 253;

/// A name within a zone, with placeholders.
#[derive(Clone, PartialEq, Eq)]
pub struct NameTemplate(Box<str>);

/// The values of the placeholders.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// `{host}`
    pub host: &'a Name,
    /// `{site}`
    pub site: &'a Name,
    /// `{environment}`
    pub environment: &'a Name,
}

impl NameTemplate {
    /// The template used if a provider configures none.
    pub const DEFAULT: &'static str = "{host}.{site}.{environment}";

    /// Parses labels that may contain `{host}`, `{site}` and `{environment}`; `@` alone is the zone itself.
    ///
    /// # Errors
    /// [`TemplateError`] describes the problem.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if TEMPLATE_BYTES_MAX < text.len() {
            return Err(TemplateError::TooLong { bytes: text.len() });
        }
        let name = Name::parse("x").expect("a letter is a name");
        let filled = fill(text, Place { host: &name, site: &name, environment: &name });
        if let Some(open) = filled.find(['{', '}']) {
            let word: String = filled[open..].chars().take_while(|c| *c != '.').collect();
            return Err(TemplateError::Placeholder { word });
        }
        if text != "@" {
            DomainName::parse(&filled).map_err(TemplateError::Name)?;
        }
        Ok(Self(text.into()))
    }

    /// Returns the name in `zone` that the template expands to for `place`.
    ///
    /// # Errors
    /// [`DomainNameError`] if the name is too long.
    pub fn name(&self, place: Place<'_>, zone: &DomainName) -> Result<DomainName, DomainNameError> {
        match &*self.0 {
            "@" => Ok(zone.clone()),
            text => zone.below(&fill(text, place)),
        }
    }

    /// Returns the template as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn fill(text: &str, place: Place<'_>) -> String {
    text.replace("{host}", place.host.as_str())
        .replace("{site}", place.site.as_str())
        .replace("{environment}", place.environment.as_str())
}

impl fmt::Display for NameTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for NameTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is not a valid [`NameTemplate`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// The template is too long.
    #[error("a name template has at most {TEMPLATE_BYTES_MAX} bytes, not {bytes}")]
    TooLong {
        /// The actual length.
        bytes: usize,
    },
    /// An unknown placeholder.
    #[error("`{word}` stands for nothing: there are {{host}}, {{site}} and {{environment}}")]
    Placeholder {
        /// The text from its brace on.
        word: String,
    },
    /// The expansion is not a valid name.
    #[error("a name template makes a DNS name: {0}")]
    Name(DomainNameError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_names_a_host_in_a_zone() {
        let name = |text: &str| Name::parse(text).unwrap();
        let (host, site, environment) = (name("gw"), name("camp-042"), name("retail"));
        let place = Place { host: &host, site: &site, environment: &environment };
        let zone = DomainName::parse("example.org").unwrap();
        let check = |template: &str, expected: &str| {
            let template = NameTemplate::parse(template).unwrap();
            assert_eq!(template.name(place, &zone).unwrap().as_str(), expected);
        };
        check(NameTemplate::DEFAULT, "gw.camp-042.retail.example.org");
        check("*.{site}", "*.camp-042.example.org");
        check("www-{site}", "www-camp-042.example.org");
        check("@", "example.org");
    }

    #[test]
    fn an_invalid_template_is_rejected() {
        let check = |text: &str, words: &str| {
            let error = NameTemplate::parse(text).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        };
        check("{hots}.a", "{hots}");
        check("a..b", "empty label");
        check("", "empty label");
        check("{host", "{host");
        check(&"a".repeat(300), "253");
    }
}
