//! The output format of a command.

use std::ffi::OsString;
use std::fmt;
use std::str::FromStr;

/// The output format of a command: the values of `-o`, `--output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputFormat {
    /// Tables and sentences, for people.
    #[default]
    Table,
    /// JSON, for programs.
    Json,
}

impl OutputFormat {
    /// The names of all formats.
    pub const NAMES: [&str; 2] = ["table", "json"];

    /// Returns the format that the arguments of a command line request, for when they cannot be parsed otherwise. It is
    /// [`OutputFormat::Table`] if they name no valid one.
    pub fn of_arguments(arguments: impl IntoIterator<Item = OsString>) -> Self {
        let mut format = Self::Table;
        let mut is_value = false;
        for argument in arguments {
            let Some(text) = argument.to_str() else { continue };
            let value = match is_value {
                true => Some(text),
                false if text == "--" => break,
                false => text.strip_prefix("--output=").or_else(|| short_value(text)),
            };
            is_value = !is_value && matches!(text, "-o" | "--output");
            format = value.and_then(|value| value.parse().ok()).unwrap_or(format);
        }
        format
    }
}

/// Returns the value of `-oVALUE` and `-o=VALUE`.
fn short_value(text: &str) -> Option<&str> {
    let value = text.strip_prefix("-o")?;
    Some(value.strip_prefix('=').unwrap_or(value))
}

impl fmt::Display for OutputFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Table => "table",
            Self::Json => "json",
        })
    }
}

impl FromStr for OutputFormat {
    type Err = OutputFormatError;

    fn from_str(text: &str) -> Result<Self, OutputFormatError> {
        match text {
            "table" => Ok(Self::Table),
            "json" => Ok(Self::Json),
            _ => Err(OutputFormatError),
        }
    }
}

/// The text is not the name of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputFormatError;

impl fmt::Display for OutputFormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected `table` or `json`")
    }
}

impl std::error::Error for OutputFormatError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_has_a_name() {
        let names = [OutputFormat::Table, OutputFormat::Json].map(|format| format.to_string());
        assert_eq!(names, OutputFormat::NAMES);
        assert_eq!(OutputFormat::NAMES.map(str::parse), [Ok(OutputFormat::Table), Ok(OutputFormat::Json)]);
        assert_eq!("yaml".parse::<OutputFormat>(), Err(OutputFormatError));
    }

    #[test]
    fn the_format_is_recognized_in_invalid_arguments() {
        let check = |line: &str, expected| {
            let arguments = line.split_whitespace().map(OsString::from);
            assert_eq!(OutputFormat::of_arguments(arguments), expected, "{line}");
        };
        check("site show -o json", OutputFormat::Json);
        check("--output json site", OutputFormat::Json);
        check("-ojson --output=yaml", OutputFormat::Json);
        check("--output=json -o table", OutputFormat::Table);
        check("-o=json", OutputFormat::Json);
        check("site show json", OutputFormat::Table);
        check("site show -- -o json", OutputFormat::Table);
        check("-o", OutputFormat::Table);
    }
}
