//! The cases of serde's `rename_all`.

use syn::{Error, LitStr, Result};

/// The case of names in the config.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Case {
    AsIs,
    Lower,
    Upper,
    Pascal,
    Camel,
    Snake,
    ScreamingSnake,
    Kebab,
    ScreamingKebab,
}

impl Case {
    pub(crate) fn parse(text: &LitStr) -> Result<Self> {
        Ok(match text.value().as_str() {
            "lowercase" => Self::Lower,
            "UPPERCASE" => Self::Upper,
            "PascalCase" => Self::Pascal,
            "camelCase" => Self::Camel,
            "snake_case" => Self::Snake,
            "SCREAMING_SNAKE_CASE" => Self::ScreamingSnake,
            "kebab-case" => Self::Kebab,
            "SCREAMING-KEBAB-CASE" => Self::ScreamingKebab,
            _ => return Err(Error::new(text.span(), "unknown case")),
        })
    }

    /// Converts a field's name, which is `snake_case` in Rust.
    pub(crate) fn field(self, name: &str) -> String {
        let words: Vec<_> = name.split('_').map(str::to_owned).collect();
        match self {
            Self::AsIs | Self::Lower | Self::Snake => name.to_owned(),
            Self::Upper | Self::ScreamingSnake => name.to_ascii_uppercase(),
            _ => self.join(&words),
        }
    }

    /// Converts a variant's name, which is `PascalCase` in Rust.
    pub(crate) fn variant(self, name: &str) -> String {
        let mut words: Vec<String> = Vec::new();
        for letter in name.chars() {
            match (letter.is_uppercase(), words.last_mut()) {
                (false, Some(word)) => word.push(letter),
                (_, _) => words.push(letter.to_lowercase().collect()),
            }
        }
        match self {
            Self::AsIs | Self::Pascal => name.to_owned(),
            Self::Lower => name.to_ascii_lowercase(),
            Self::Upper => name.to_ascii_uppercase(),
            _ => self.join(&words),
        }
    }

    /// Joins lower-case words.
    fn join(self, words: &[String]) -> String {
        match self {
            Self::Kebab => words.join("-"),
            Self::ScreamingKebab => words.join("-").to_ascii_uppercase(),
            Self::ScreamingSnake => words.join("_").to_ascii_uppercase(),
            Self::Pascal => words.iter().map(|word| capitalized(word)).collect(),
            Self::Camel => words
                .iter()
                .enumerate()
                .map(|(index, word)| if index == 0 { word.clone() } else { capitalized(word) })
                .collect(),
            Self::AsIs | Self::Lower | Self::Upper | Self::Snake => words.join("_"),
        }
    }
}

fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_serde_writes_them() {
        assert_eq!(Case::Kebab.field("page_size"), "page-size");
        assert_eq!(Case::Camel.field("page_size"), "pageSize");
        assert_eq!(Case::Pascal.field("page_size"), "PageSize");
        assert_eq!(Case::Kebab.variant("VerySlow"), "very-slow");
        assert_eq!(Case::Snake.variant("VerySlow"), "very_slow");
        assert_eq!(Case::Camel.variant("VerySlow"), "verySlow");
        assert_eq!(Case::Lower.variant("VerySlow"), "veryslow");
        assert_eq!(Case::ScreamingKebab.variant("VerySlow"), "VERY-SLOW");
    }
}
