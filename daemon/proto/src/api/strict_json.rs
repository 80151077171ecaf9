//! Decoding JSON in which an object is an object, the name of a variant a text, and `1.0` a whole number.
//!
//! The decoders that serde derives are more lenient than the API's description: for a struct they also accept an array
//! with the values of its fields in order, and for a variant without content an object with `null`. [`decode`] rejects
//! both, at every level, with the line and the column. They are also stricter: `1.0` is a whole number in JSON Schema,
//! and [`decode`] takes it as one. Everything else is as `serde_json` does it, its limit of 128 levels included.
//!
//! It wraps the deserializer, and everything that the deserializer passes to visitors. What serde buffers first is not
//! reached: a request must not use `flatten` or `untagged` (there is none).

use std::fmt;

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, Unexpected,
    VariantAccess, Visitor,
};

/// Decodes a JSON document.
///
/// # Errors
/// It is no JSON, or not of this shape; the error says where.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = T::deserialize(Strict(&mut deserializer))?;
    deserializer.end()?;
    Ok(value)
}

/// Returns a number without a fraction that a float holds exactly.
#[expect(clippy::cast_possible_truncation, reason = "it is a whole number of 53 bits")]
fn whole(value: f64) -> Option<i64> {
    let is_exact = value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0;
    is_exact.then_some(value as i64)
}

/// A deserializer, seed or access, with everything below it.
struct Strict<T>(T);

/// What a visitor of [`StrictVisitor`] reads.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expects {
    /// The fields of a struct.
    Fields,
    /// The variant of an enum.
    Variant,
    /// A whole number, which JSON may write as `1.0`.
    Integer,
    /// Anything else.
    Other,
}

struct StrictVisitor<V> {
    visitor: V,
    expects: Expects,
}

impl<V> StrictVisitor<V> {
    const fn new(visitor: V, expects: Expects) -> Self {
        Self { visitor, expects }
    }
}

/// Forwards methods of a deserializer, with a visitor that expects this.
macro_rules! deserialize {
    ($expects:ident: $($method:ident($($argument:ident: $type:ty),*))*) => {$(
        fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method($($argument,)* StrictVisitor::new(visitor, Expects::$expects))
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Strict<D> {
    type Error = D::Error;

    deserialize! {
        Integer: deserialize_i8() deserialize_i16() deserialize_i32() deserialize_i64() deserialize_i128()
            deserialize_u8() deserialize_u16() deserialize_u32() deserialize_u64() deserialize_u128()
    }

    deserialize! {
        Other: deserialize_any() deserialize_bool() deserialize_f32() deserialize_f64() deserialize_char()
            deserialize_str()
            deserialize_string() deserialize_bytes() deserialize_byte_buf() deserialize_option() deserialize_unit()
            deserialize_unit_struct(name: &'static str) deserialize_newtype_struct(name: &'static str)
            deserialize_seq() deserialize_tuple(len: usize)
            deserialize_tuple_struct(name: &'static str, len: usize) deserialize_map() deserialize_identifier()
            deserialize_ignored_any()
    }

    deserialize! {
        Fields: deserialize_struct(name: &'static str, fields: &'static [&'static str])
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        // As anything, so that a text can be told from an object.
        self.0.deserialize_any(StrictVisitor::new(visitor, Expects::Variant))
    }
}

/// Forwards values without parts.
macro_rules! visit {
    ($($method:ident: $type:ty),*) => {$(
        fn $method<E: Error>(self, value: $type) -> Result<V::Value, E> {
            self.visitor.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for StrictVisitor<V> {
    type Value = V::Value;

    visit! {
        visit_bool: bool, visit_i8: i8, visit_i16: i16, visit_i32: i32, visit_i64: i64, visit_i128: i128, visit_u8: u8,
        visit_u16: u16, visit_u32: u32, visit_u64: u64, visit_u128: u128, visit_f32: f32,
        visit_char: char, visit_bytes: &[u8], visit_borrowed_bytes: &'de [u8], visit_byte_buf: Vec<u8>
    }

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<V::Value, E> {
        match self.expects {
            Expects::Variant => self.visitor.visit_enum(StrDeserializer::new(value)),
            Expects::Fields | Expects::Integer | Expects::Other => self.visitor.visit_str(value),
        }
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<V::Value, E> {
        match self.expects {
            Expects::Variant => self.visit_str(value),
            Expects::Fields | Expects::Integer | Expects::Other => self.visitor.visit_borrowed_str(value),
        }
    }

    fn visit_string<E: Error>(self, value: String) -> Result<V::Value, E> {
        match self.expects {
            Expects::Variant => self.visit_str(&value),
            Expects::Fields | Expects::Integer | Expects::Other => self.visitor.visit_string(value),
        }
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<V::Value, E> {
        match whole(value) {
            Some(number) if self.expects == Expects::Integer => match u64::try_from(number) {
                Ok(number) => self.visitor.visit_u64(number),
                Err(_) => self.visitor.visit_i64(number),
            },
            _ => self.visitor.visit_f64(value),
        }
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_some(Strict(deserializer))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_newtype_struct(Strict(deserializer))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<V::Value, A::Error> {
        match self.expects {
            Expects::Fields => Err(A::Error::invalid_type(Unexpected::Seq, &self.visitor)),
            Expects::Variant | Expects::Integer | Expects::Other => self.visitor.visit_seq(Strict(seq)),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        match self.expects {
            Expects::Variant => self.visitor.visit_enum(Strict(MapAccessDeserializer::new(Strict(map)))),
            Expects::Fields | Expects::Integer | Expects::Other => self.visitor.visit_map(Strict(map)),
        }
    }

    fn visit_enum<A: EnumAccess<'de>>(self, access: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_enum(access)
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Strict<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Strict(deserializer))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_element_seed(Strict(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_key_seed(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(Strict(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

/// A variant in an object: the key is its name, and the value its content.
impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for Strict<A> {
    type Error = A::Error;
    type Variant = Strict<A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        let (value, variant) = self.0.variant_seed(seed)?;
        Ok((value, Strict(variant)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        Err(A::Error::invalid_type(Unexpected::Map, &"the name of a variant, as a text"))
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.0.newtype_variant_seed(Strict(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.0.tuple_variant(len, StrictVisitor::new(visitor, Expects::Other))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.0.struct_variant(fields, StrictVisitor::new(visitor, Expects::Fields))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde::Serialize;
    use serde_json::{Value, json};

    use super::*;
    use crate::api::account::{KeyRequest, UserEdit};
    use crate::api::operation::{DecodedBody as _, Json, MergePatch};
    use crate::api::{EnvironmentEdit, ProviderBody, ProviderRequest};

    fn provider(key: &str, value: &Value) -> String {
        let mut settings = json!({"name": "dns", "plugin": "dns-fake", "owner": "acme", "zones": ["a.example"]});
        settings[key] = value.clone();
        json!({"environment": "lab", "sites": "", "settings": settings}).to_string()
    }

    #[test]
    fn an_array_is_no_object() {
        let error = MergePatch::<EnvironmentEdit>::decode(b"[null, null]").expect_err("no object");
        assert_eq!(error.to_string(), "invalid type: sequence, expected a JSON object at line 1 column 1");
        let limit = br#"{"name": "ci", "limit": ["viewer", {}]}"#;
        let error = Json::<KeyRequest>::decode(limit).expect_err("no object").to_string();
        assert!(error.ends_with("expected a JSON object at line 1 column 25"), "{error}");
        let record = provider("records", &json!([["{host}", "A", ["192.0.2.1"]]]));
        assert!(Json::<ProviderRequest>::decode(record.as_bytes()).is_err(), "a struct in an array");
        let record = provider("records", &json!([{"template": "{host}", "type": "A", "values": ["192.0.2.1"]}]));
        assert!(Json::<ProviderRequest>::decode(record.as_bytes()).is_ok());
    }

    #[test]
    fn the_name_of_a_variant_is_a_text() {
        let decode = |kind: Value| Json::<ProviderRequest>::decode(provider("kind", &kind).as_bytes());
        assert!(decode(json!("dns")).is_ok());
        for kind in [json!({"dns": null}), json!(["dns"]), json!("cloud"), json!(null), json!({})] {
            assert!(decode(kind.clone()).is_err(), "{kind}");
        }
    }

    #[test]
    fn a_whole_number_may_have_a_fraction_of_zero() {
        let decode = |text: &str| {
            let body = format!("{{\"removed_keep_seconds\": {text}}}");
            MergePatch::<EnvironmentEdit>::decode(body.as_bytes()).map(|edit| edit.removed_keep_seconds)
        };
        assert_eq!(decode("60.0").expect("whole"), Some(60));
        assert_eq!(decode("6e1").expect("whole"), Some(60));
        assert_eq!(decode("18446744073709551615").expect("whole"), Some(u64::MAX));
        for text in ["60.5", "-60.0", "1e300", "18446744073709551616", "\"60\""] {
            assert!(decode(text).is_err(), "{text}");
        }
    }

    #[test]
    fn maps_options_and_free_json_are_read_as_they_are() {
        let edit = br#"{"environment_roles": {"lab": null, "shop": "viewer"}}"#;
        let edit = MergePatch::<UserEdit>::decode(edit).expect("valid");
        let roles = [("lab".to_owned(), None), ("shop".to_owned(), Some("viewer".to_owned()))];
        assert_eq!(edit.environment_roles, BTreeMap::from(roles));
        let config = json!({"api": {"url": "https://a.example", "list": [1, [null], {"b": -2.5}]}});
        let read = Json::<ProviderRequest>::decode(provider("config", &config).as_bytes()).expect("valid");
        assert_eq!(Value::from(read.settings.config), config);
        assert!(decode::<UserEdit>(b"{} {}").is_err(), "one document");
    }

    #[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
    struct Sample {
        texts: Vec<(String, Option<u64>)>,
        choice: Choice,
        body: Option<Box<ProviderBody>>,
    }

    #[derive(Debug, PartialEq, Serialize, serde::Deserialize)]
    enum Choice {
        Unit,
        New(Vec<bool>),
        Tuple(i8, String),
        Struct { a: f64 },
    }

    proptest! {
        /// What is written is read as by `serde_json` itself.
        #[test]
        fn what_is_written_is_read(
            texts in proptest::collection::vec((".*", proptest::option::of(any::<u64>())), 0..4),
            n in any::<i8>(),
            s in ".*",
            which in 0..4_u8,
        ) {
            let choice = match which {
                0 => Choice::Unit,
                1 => Choice::New(vec![true, false]),
                2 => Choice::Tuple(n, s),
                _ => Choice::Struct { a: f64::from(n) },
            };
            let sample = Sample { texts, choice, body: None };
            let text = serde_json::to_vec(&sample).expect("serializes");
            prop_assert_eq!(decode::<Sample>(&text).expect("own text reads"), sample);
        }

        #[test]
        fn no_input_panics(text in "[\\[\\]{}\":,a-z0-9 ]{0,64}") {
            drop(decode::<ProviderRequest>(text.as_bytes()));
        }
    }
}
