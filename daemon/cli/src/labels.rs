//! Labels: command line arguments and output.

use std::collections::{BTreeMap, BTreeSet};

use linecamp_model::limits::LABELS_PER_OWNER_MAX;
use linecamp_model::{Label, LabelInput, LabelKey, LabelPatch, LabelValue, Name};
use linecamp_proto::api;
use linecamp_table::{Cell, Table};

use crate::argument::ArgumentError;
use crate::context::Context;
use crate::output::Output;
use crate::text_style::TextStyle;

/// Parses label arguments. Warns about repeated keys.
pub(crate) fn label_patch(arguments: &[String], context: &Context<'_>) -> anyhow::Result<LabelPatch> {
    let args = LabelArgs::parse(arguments)?;
    args.warn(&context.out);
    Ok(args.patch)
}

/// The label changes given on the command line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct LabelArgs {
    /// The change.
    pub(crate) patch: LabelPatch,
    /// Keys given more than once. The last value wins.
    repeated: BTreeSet<LabelKey>,
}

impl LabelArgs {
    /// Parses `KEY=VALUE` and `KEY-` arguments.
    pub(crate) fn parse(arguments: &[String]) -> Result<Self, ArgumentError> {
        let mut last: BTreeMap<LabelKey, Option<LabelValue>> = BTreeMap::new();
        let mut repeated = BTreeSet::new();
        for argument in arguments {
            let (key, value) = label_argument(argument)?;
            if last.insert(key.clone(), value).is_some() {
                repeated.insert(key);
            }
        }
        if last.is_empty() {
            return Err(ArgumentError::MissingLabels);
        }
        if LABELS_PER_OWNER_MAX < last.len() {
            return Err(ArgumentError::TooManyLabels { count: last.len() });
        }
        let mut patch = LabelPatch::default();
        for (key, value) in last {
            match value {
                Some(value) => _ = patch.set.insert(key, value),
                None => _ = patch.remove.insert(key),
            }
        }
        Ok(Self { patch, repeated })
    }

    /// Warns about keys given more than once.
    pub(crate) fn warn(&self, out: &Output) {
        warn_of_repeated(&self.repeated, out);
    }
}

fn label_argument(argument: &str) -> Result<(LabelKey, Option<LabelValue>), ArgumentError> {
    let bad = |source| ArgumentError::Label { argument: argument.into(), source };
    if argument.contains('=') {
        let label = Label::parse(argument).map_err(bad)?;
        return Ok((label.key, Some(label.value)));
    }
    match argument.strip_suffix('-') {
        Some(key) => Ok((LabelKey::parse(key).map_err(bad)?, None)),
        None => Err(ArgumentError::InvalidLabelArgument { argument: argument.into() }),
    }
}

/// Splits `NAME KEY=VALUE…` into the name and the labels.
pub(crate) fn name_and_rest(arguments: &[String]) -> Result<(Name, &[String]), ArgumentError> {
    let (argument, rest) = arguments.split_first().ok_or(ArgumentError::MissingLabels)?;
    let name = Name::parse(argument).map_err(|source| ArgumentError::Name { argument: argument.clone(), source })?;
    Ok((name, rest))
}

/// Collects repeated `--label KEY=VALUE` options. Warns about keys given more than once.
pub(crate) fn label_options(labels: Vec<Label>, out: &Output) -> Result<BTreeMap<String, String>, ArgumentError> {
    let mut input = LabelInput::default();
    for label in labels {
        input.add(label);
    }
    let count = input.labels.len();
    if LABELS_PER_OWNER_MAX < count {
        return Err(ArgumentError::TooManyLabels { count });
    }
    warn_of_repeated(&input.repeated, out);
    let texts = input.labels.into_iter();
    Ok(texts.map(|(key, value)| (key.to_string(), value.to_string())).collect())
}

fn warn_of_repeated(repeated: &BTreeSet<LabelKey>, out: &Output) {
    for key in repeated {
        out.note(&format!("warning: label `{key}` was given more than once; using the last value"));
    }
}

/// Renders labels with their owners; empty if there are none.
pub(crate) fn labels_table(labels: &[api::Label], style: &TextStyle) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let row = |label: &api::Label| {
        [
            Cell::from(&label.key),
            Cell::from(&label.value),
            Cell::from(&label.owner),
            Cell::from(&label.level),
            Cell::from(style.age(&label.since)),
        ]
    };
    Table::new(["LABEL", "VALUE", "OWNER", "LEVEL", "SINCE"]).with(labels.iter().map(row)).render(style.colors)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(text: &str) -> Vec<String> {
        text.split_whitespace().map(Into::into).collect()
    }

    #[test]
    fn label_arguments_set_and_remove() {
        let parsed = LabelArgs::parse(&arguments("rack=r7 tier- note=a=b empty=")).expect("valid");
        let set: Vec<_> = parsed.patch.set.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(set, ["empty=", "note=a=b", "rack=r7"]);
        assert_eq!(parsed.patch.remove.iter().map(LabelKey::as_str).collect::<Vec<_>>(), ["tier"]);
        assert!(parsed.repeated.is_empty());
    }

    #[test]
    fn the_last_value_of_a_repeated_key_wins() {
        let check = |text: &str, set: usize, removed: usize| {
            let parsed = LabelArgs::parse(&arguments(text)).expect("valid");
            let found = (parsed.patch.set.len(), parsed.patch.remove.len());
            assert_eq!(found, (set, removed), "{text}");
            assert_eq!(parsed.repeated.iter().map(LabelKey::as_str).collect::<Vec<_>>(), ["a"]);
        };
        check("a=1 a=2", 1, 0);
        check("a=1 a-", 0, 1);
        check("a- a=1", 1, 0);
    }

    #[test]
    fn an_invalid_label_is_reported_with_its_column() {
        let check = |text: &str, expected: &str| {
            let error = LabelArgs::parse(&arguments(text)).map_err(anyhow::Error::from).expect_err(text);
            assert!(format!("{error:#}").contains(expected), "{error:#}");
        };
        check("ok=1 ra+ck=r7", "invalid label `ra+ck=r7`: label key `ra+ck`: column 3 is `+`");
        check("rack", "invalid label argument `rack`: use KEY=VALUE");
        check("rack--", "column 5 is `-`");
        check("=x", "a label's key cannot be empty");
        check("", "no labels given");
    }
}
