//! Problems of a provider's settings, each with the path of its field.

use std::fmt;

use crate::limits::SETTING_PROBLEMS_MAX;
use crate::name::Text;

/// The characters of one name or value that a problem quotes.
const SHOWN_CHARS_MAX: usize = 80;

/// What is wrong with one field of a provider's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingProblem {
    /// The path of the field, such as `config.servers[1]` or `secrets.token`.
    pub field: Text,
    /// What is wrong, and what to do.
    pub problem: Text,
}

impl fmt::Display for SettingProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)
    }
}

/// The problems that were found: the first [`SETTING_PROBLEMS_MAX`] of them.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<SettingProblem>);

impl Problems {
    pub(super) fn add(&mut self, field: &str, problem: impl fmt::Display) {
        if self.0.len() < SETTING_PROBLEMS_MAX {
            self.0.push(SettingProblem { field: Text::lossy(field), problem: Text::lossy(&problem.to_string()) });
        }
    }

    pub(super) fn into_vec(self) -> Vec<SettingProblem> {
        self.0
    }
}

/// Returns the beginning of a text that a plugin or an operator wrote.
pub(super) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}
