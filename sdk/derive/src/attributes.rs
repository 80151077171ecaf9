//! Parsing of `#[serde(…)]`, `#[config(…)]` and doc comments.

use syn::meta::ParseNestedMeta;
use syn::{Attribute, Error, Expr, ExprLit, ExprUnary, Lit, LitStr, Meta, Result, UnOp};

use crate::case::Case;
use crate::json;

/// The attributes of a struct or an enum.
pub(crate) struct Container {
    pub(crate) description: String,
    pub(crate) case: Case,
    pub(crate) denies_unknown: bool,
    pub(crate) has_default: bool,
}

/// The attributes of a field or a variant.
pub(crate) struct Member {
    pub(crate) description: String,
    pub(crate) rename: Option<String>,
    pub(crate) has_default: bool,
    pub(crate) is_skipped: bool,
    /// Schema keywords, and their values as JSON.
    pub(crate) keywords: Vec<(&'static str, String)>,
}

/// The keywords of `#[config(…)]`, and their names in a schema.
const KEYWORDS: [(&str, &str); 10] = [
    ("default", "default"),
    ("example", "examples"),
    ("format", "format"),
    ("pattern", "pattern"),
    ("minimum", "minimum"),
    ("maximum", "maximum"),
    ("min_length", "minLength"),
    ("max_length", "maxLength"),
    ("min_items", "minItems"),
    ("max_items", "maxItems"),
];

impl Container {
    pub(crate) fn read(attributes: &[Attribute]) -> Result<Self> {
        let description = description(attributes);
        let mut read = Self { description, case: Case::AsIs, denies_unknown: false, has_default: false };
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
            attribute.parse_nested_meta(|meta| {
                match word(&meta).as_str() {
                    "deny_unknown_fields" => read.denies_unknown = true,
                    "rename_all" => read.case = Case::parse(&meta.value()?.parse()?)?,
                    "default" => {
                        read.has_default = true;
                        skip_value(&meta)?;
                    }
                    "crate" | "bound" => skip_value(&meta)?,
                    _ => return Err(meta.error("not supported in a config schema")),
                }
                Ok(())
            })?;
        }
        Ok(read)
    }
}

impl Member {
    pub(crate) fn read(attributes: &[Attribute]) -> Result<Self> {
        let description = description(attributes);
        let mut read = Self { description, rename: None, has_default: false, is_skipped: false, keywords: Vec::new() };
        for attribute in attributes {
            if attribute.path().is_ident("serde") {
                attribute.parse_nested_meta(|meta| read.serde(&meta))?;
            } else if attribute.path().is_ident("config") {
                attribute.parse_nested_meta(|meta| read.keyword(&meta))?;
            }
        }
        Ok(read)
    }

    fn serde(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        match word(meta).as_str() {
            "rename" => self.rename = Some(meta.value()?.parse::<LitStr>()?.value()),
            "default" => {
                self.has_default = true;
                skip_value(meta)?;
            }
            "skip" | "skip_deserializing" => self.is_skipped = true,
            "deserialize_with" | "with" => skip_value(meta)?,
            _ => return Err(meta.error("not supported in a config schema")),
        }
        Ok(())
    }

    fn keyword(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        let found = word(meta);
        let Some((_, keyword)) = KEYWORDS.iter().find(|(name, _)| *name == found) else {
            let known: Vec<_> = KEYWORDS.iter().map(|(name, _)| *name).collect();
            return Err(meta.error(format!("`config` accepts {}", known.join(", "))));
        };
        let value = literal(&meta.value()?.parse()?)?;
        let value = if *keyword == "examples" { format!("[{value}]") } else { value };
        self.keywords.push((keyword, value));
        Ok(())
    }
}

fn word(meta: &ParseNestedMeta<'_>) -> String {
    meta.path.get_ident().map(ToString::to_string).unwrap_or_default()
}

/// Skips `= value`, if present.
fn skip_value(meta: &ParseNestedMeta<'_>) -> Result<()> {
    if meta.input.peek(syn::Token![=]) {
        meta.value()?.parse::<Expr>()?;
    }
    Ok(())
}

/// Converts a literal to JSON.
fn literal(expression: &Expr) -> Result<String> {
    match expression {
        Expr::Lit(ExprLit { lit, .. }) => match lit {
            Lit::Str(text) => Ok(json::string(&text.value())),
            Lit::Bool(value) => Ok(value.value.to_string()),
            Lit::Int(number) => Ok(number.base10_digits().to_owned()),
            Lit::Float(number) => Ok(number.base10_digits().to_owned()),
            other => Err(Error::new(other.span(), "expected a string, a number or a boolean")),
        },
        Expr::Unary(ExprUnary { op: UnOp::Neg(_), expr, .. }) => Ok(format!("-{}", literal(expr)?)),
        other => Err(Error::new_spanned(other, "expected a string, a number or a boolean")),
    }
}

/// Returns the doc comment: lines joined, an empty line as a line break.
fn description(attributes: &[Attribute]) -> String {
    let mut text = String::new();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("doc")) {
        let Meta::NameValue(pair) = &attribute.meta else { continue };
        let Expr::Lit(ExprLit { lit: Lit::Str(line), .. }) = &pair.value else { continue };
        match (line.value().trim(), text.is_empty() || text.ends_with('\n')) {
            ("", true) => {}
            ("", false) => text.push('\n'),
            (line, true) => text.push_str(line),
            (line, false) => {
                text.push(' ');
                text.push_str(line);
            }
        }
    }
    text.trim_end().to_owned()
}
