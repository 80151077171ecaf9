//! Schema generation: literal text, interleaved with the schema constants of other types.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Data, DeriveInput, Error, Fields, FieldsNamed, GenericArgument, PathArguments, Result, Type, Variant};
use syn::{punctuated::Punctuated, token::Comma};

use crate::attributes::{Container, Member};
use crate::json;

/// Implements `Config` for a struct with named fields, or an enum without fields.
pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(&input.generics, "a config cannot be generic"));
    }
    let container = Container::read(&input.attrs)?;
    let body = match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => object(input, &container, fields)?,
            other => return Err(Error::new_spanned(other, "a config must have named fields")),
        },
        Data::Enum(data) => choice(&container, &data.variants)?,
        Data::Union(data) => return Err(Error::new(data.union_token.span, "a config must be a struct or an enum")),
    };
    let name = &input.ident;
    let parts = &body.parts;
    let opening = match container.description.as_str() {
        "" => "{".to_owned(),
        text => format!("{{\"description\":{},", json::string(text)),
    };
    Ok(quote! {
        impl ::linecamp_provider::Config for #name {
            const SCHEMA: &'static str = {
                use ::linecamp_provider::config_text as text;
                const PARTS: &[&str] = &[#opening, <#name as ::linecamp_provider::Config>::SCHEMA_BODY, "}"];
                const BYTES: [u8; text::length(PARTS)] = text::join(PARTS);
                text::of(&BYTES)
            };
            const SCHEMA_BODY: &'static str = {
                use ::linecamp_provider::config_text as text;
                const PARTS: &[&str] = &[#(#parts),*];
                const BYTES: [u8; text::length(PARTS)] = text::join(PARTS);
                text::of(&BYTES)
            };
        }
    })
}

/// Schema text under construction: literal parts, interleaved with schema constants.
#[derive(Default)]
struct Text {
    parts: Vec<TokenStream>,
    open: String,
}

impl Text {
    fn push(&mut self, text: &str) {
        self.open.push_str(text);
    }

    fn push_constant(&mut self, constant: TokenStream) {
        let open = std::mem::take(&mut self.open);
        self.parts.push(quote!(#open));
        self.parts.push(constant);
    }

    fn finish(mut self) -> Self {
        let open = std::mem::take(&mut self.open);
        self.parts.push(quote!(#open));
        self
    }
}

fn object(input: &DeriveInput, container: &Container, fields: &FieldsNamed) -> Result<Text> {
    if !container.denies_unknown {
        let why = "a config must reject unknown fields: add #[serde(deny_unknown_fields)]";
        return Err(Error::new_spanned(&input.ident, why));
    }
    let mut text = Text::default();
    let mut required = Vec::new();
    text.push("\"type\":\"object\",\"additionalProperties\":false,\"properties\":{");
    let mut comma = "";
    for field in &fields.named {
        let member = Member::read(&field.attrs)?;
        if member.is_skipped {
            continue;
        }
        let rust_name = field.ident.as_ref().map(ToString::to_string).unwrap_or_default();
        let rust_name = rust_name.trim_start_matches("r#");
        let name = member.rename.clone().unwrap_or_else(|| container.case.field(rust_name));
        let (inner, is_option) = without_option(&field.ty);
        if !is_option && !member.has_default && !container.has_default {
            required.push(json::string(&name));
        }
        text.push(comma);
        text.push(&format!("{}:{{", json::string(&name)));
        if !member.description.is_empty() {
            text.push(&format!("\"description\":{},", json::string(&member.description)));
        }
        for (keyword, value) in &member.keywords {
            text.push(&format!("\"{keyword}\":{value},"));
        }
        push_type(&mut text, inner, &member)?;
        text.push("}");
        comma = ",";
    }
    text.push("}");
    if !required.is_empty() {
        text.push(&format!(",\"required\":[{}]", required.join(",")));
    }
    Ok(text.finish())
}

fn choice(container: &Container, variants: &Punctuated<Variant, Comma>) -> Result<Text> {
    let mut names = Vec::new();
    for variant in variants {
        if !matches!(variant.fields, Fields::Unit) {
            return Err(Error::new_spanned(variant, "an enum variant of a config must not have fields"));
        }
        let member = Member::read(&variant.attrs)?;
        if !member.is_skipped {
            let name = member.rename.unwrap_or_else(|| container.case.variant(&variant.ident.to_string()));
            names.push(json::string(&name));
        }
    }
    let mut text = Text::default();
    text.push(&format!("\"type\":\"string\",\"enum\":[{}]", names.join(",")));
    Ok(text.finish())
}

/// Appends the content of a type's schema, without the braces.
fn push_type(text: &mut Text, ty: &Type, member: &Member) -> Result<()> {
    let bad =
        || Error::new_spanned(ty, "supported types: numbers, bool, String, Option, Vec, BTreeMap and other configs");
    let Type::Path(path) = ty else { return Err(bad()) };
    let last = path.path.segments.last().ok_or_else(bad)?;
    let is_bounded = |keyword: &str| member.keywords.iter().any(|(name, _)| *name == keyword);
    match last.ident.to_string().as_str() {
        "String" => text.push("\"type\":\"string\""),
        "bool" => text.push("\"type\":\"boolean\""),
        "f32" | "f64" => text.push("\"type\":\"number\""),
        "i8" | "i16" | "i32" | "i64" => text.push("\"type\":\"integer\""),
        unsigned @ ("u8" | "u16" | "u32" | "u64" | "usize") => {
            text.push("\"type\":\"integer\"");
            if !is_bounded("minimum") {
                text.push(",\"minimum\":0");
            }
            let greatest = match unsigned {
                "u8" => Some(u64::from(u8::MAX)),
                "u16" => Some(u64::from(u16::MAX)),
                "u32" => Some(u64::from(u32::MAX)),
                _ => None,
            };
            if let Some(greatest) = greatest.filter(|_| !is_bounded("maximum")) {
                text.push(&format!(",\"maximum\":{greatest}"));
            }
        }
        "Vec" => {
            let item = arguments(&last.arguments).pop().ok_or_else(bad)?;
            text.push("\"type\":\"array\",\"items\":{");
            push_type(text, item, &Member::read(&[])?)?;
            text.push("}");
        }
        "BTreeMap" => {
            let [_, value] = arguments(&last.arguments)[..] else { return Err(bad()) };
            text.push("\"type\":\"object\",\"additionalProperties\":{");
            push_type(text, value, &Member::read(&[])?)?;
            text.push("}");
        }
        "Option" => return Err(bad()),
        _ => text.push_constant(quote!(<#ty as ::linecamp_provider::Config>::SCHEMA_BODY)),
    }
    Ok(())
}

/// Returns the type inside an `Option`, and whether it was one.
fn without_option(ty: &Type) -> (&Type, bool) {
    let Type::Path(path) = ty else { return (ty, false) };
    match path.path.segments.last() {
        Some(last) if last.ident == "Option" => match arguments(&last.arguments)[..] {
            [inner] => (inner, true),
            _ => (ty, false),
        },
        _ => (ty, false),
    }
}

fn arguments(arguments: &PathArguments) -> Vec<&Type> {
    let PathArguments::AngleBracketed(list) = arguments else { return Vec::new() };
    let types = list.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    types.collect()
}
