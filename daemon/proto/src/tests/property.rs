//! Values round-trip, and nothing panics.

use std::fmt::Debug;

use linecamp_model::limits::{
    CLOSE_BYTES_MAX, DELTA_OVERHEAD_BYTES_MAX, DOCUMENT_OVERHEAD_BYTES_MAX, FIRST_FRAME_BYTES_MAX,
};
use linecamp_model::{FromMember, FromParent, RefusalCode};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use super::strategy;
use crate::record::{fleet_change, fleet_record, site_change, site_record};
use crate::{
    ProtoError, decode_from_member, decode_from_parent, decode_refusal, encode_from_member, encode_from_parent,
    encode_refusal, refusal_code_number,
};

/// One way to corrupt bytes.
#[derive(Clone, Debug)]
enum Corruption {
    Flip(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Repeat(Index, Index),
}

impl Corruption {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let at = |index: &Index, bytes: &[u8]| index.index(bytes.len() + 1);
        match self {
            Self::Flip(index, mask) => {
                let at = at(index, bytes);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= mask;
                }
            }
            Self::Cut(index) => bytes.truncate(at(index, bytes)),
            Self::Insert(index, more) => {
                let at = at(index, bytes);
                bytes.splice(at..at, more.iter().copied());
            }
            Self::Repeat(from, to) => {
                let (from, to) = (at(from, bytes), at(to, bytes));
                let piece = bytes[from.min(to)..from.max(to)].to_vec();
                bytes.extend_from_slice(&piece);
            }
        }
    }
}

fn corruptions() -> impl Strategy<Value = Vec<Corruption>> {
    let one = prop_oneof![
        4 => (any::<Index>(), 1..=u8::MAX).prop_map(|(index, mask)| Corruption::Flip(index, mask)),
        1 => any::<Index>().prop_map(Corruption::Cut),
        1 => (any::<Index>(), vec(any::<u8>(), 1..6)).prop_map(|(index, more)| Corruption::Insert(index, more)),
        1 => (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Corruption::Repeat(from, to)),
    ];
    vec(one, 1..4)
}

/// Whatever decodes is valid and round-trips. Otherwise the error is short and safe for a log.
fn check_door<T: Debug + PartialEq>(
    decoded: Result<T, ProtoError>,
    again: impl FnOnce(&T) -> Result<T, ProtoError>,
) -> Result<(), TestCaseError> {
    match decoded {
        Ok(value) => prop_assert_eq!(again(&value), Ok(value)),
        Err(error) => {
            let text = error.to_string();
            prop_assert!(text.len() < 800 && !text.contains(linecamp_model::is_invisible), "{}", text);
        }
    }
    Ok(())
}

fn check_bytes(bytes: &[u8]) -> Result<(), TestCaseError> {
    check_door(decode_from_member(bytes), |message| decode_from_member(&encode_from_member(message)))?;
    check_door(decode_from_parent(bytes), |message| decode_from_parent(&encode_from_parent(message)))?;
    if let Some(refusal) = decode_refusal(1, bytes) {
        prop_assert_eq!(decode_refusal(1, &encode_refusal(&refusal)), Some(refusal));
    }
    Ok(())
}

fn check_records(key: &[u8], body: &[u8]) -> Result<(), TestCaseError> {
    check_door(site_record(key, body), |change| {
        let (found, body) = site_change(change);
        assert_eq!(found, key, "a key has one spelling");
        site_record(&found, &body.expect("a record"))
    })?;
    check_door(fleet_record(key, body), |change| {
        let (found, body) = fleet_change(change);
        assert_eq!(found, key, "a key has one spelling");
        fleet_record(&found, &body.expect("a record"))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn an_encoded_site_message_decodes_to_itself(message in strategy::from_member()) {
        let bytes = encode_from_member(&message);
        prop_assert!(!bytes.is_empty());
        if matches!(message, FromMember::Join(_) | FromMember::Hello(_)) {
            prop_assert!(bytes.len() <= FIRST_FRAME_BYTES_MAX);
        }
        prop_assert_eq!(decode_from_member(&bytes), Ok(message));
    }

    #[test]
    fn an_encoded_server_message_decodes_to_itself(message in strategy::from_parent()) {
        let bytes = encode_from_parent(&message);
        prop_assert!(!bytes.is_empty());
        prop_assert_eq!(decode_from_parent(&bytes), Ok(message));
    }

    /// `core` splits deltas, and limits the documents of a site, by these sizes.
    #[test]
    fn no_document_is_larger_than_its_stated_size(spec in strategy::spec_delta(), status in strategy::status_delta()) {
        let all = |count: usize, sizes: usize| DELTA_OVERHEAD_BYTES_MAX + count * DOCUMENT_OVERHEAD_BYTES_MAX + sizes;
        let sizes = spec.documents.values().filter_map(|document| Some(document.body.as_ref()?.encoded_size_max()));
        let spec_max = all(spec.documents.len(), sizes.sum());
        let sizes = status.documents.values().filter_map(|document| Some(document.body.as_ref()?.encoded_size_max()));
        let status_max = all(status.documents.len(), sizes.sum());
        let bytes = encode_from_parent(&FromParent::Spec(spec)).len();
        prop_assert!(bytes <= spec_max, "a spec of {} bytes, stated as {}", bytes, spec_max);
        let bytes = encode_from_member(&FromMember::Status(status)).len();
        prop_assert!(bytes <= status_max, "a status of {} bytes, stated as {}", bytes, status_max);
    }

    #[test]
    fn an_encoded_refusal_decodes_to_itself(refusal in strategy::refusal()) {
        let reason = encode_refusal(&refusal);
        prop_assert!(reason.len() <= CLOSE_BYTES_MAX);
        prop_assert_eq!(decode_refusal(refusal_code_number(refusal.code), &reason), Some(refusal));
    }

    #[test]
    fn an_encoded_site_record_decodes_to_itself(record in strategy::site_record()) {
        let (key, body) = site_change(&record);
        prop_assert_eq!(site_record(&key, &body.expect("a record")), Ok(record));
    }

    #[test]
    fn an_encoded_fleet_record_decodes_to_itself(record in strategy::fleet_record()) {
        let (key, body) = fleet_change(&record);
        prop_assert_eq!(fleet_record(&key, &body.expect("a record")), Ok(record));
    }

    #[test]
    fn random_bytes_never_panic(
        bytes in vec(any::<u8>(), 0..300),
        number in prop_oneof![0..40_u32, any::<u32>()],
        key in "[a-z]{4,11}(/[0-9a-f]{16,32}|/site|/host){0,3}",
    ) {
        check_bytes(&bytes)?;
        check_records(&bytes, &bytes)?;
        check_records(key.as_bytes(), &bytes)?;
        let code = decode_refusal(number, &bytes).map(|refusal| refusal.code);
        let known = RefusalCode::ALL.iter().any(|code| refusal_code_number(*code) == number);
        prop_assert!(known || code.is_none_or(|code| code == RefusalCode::Busy));
    }

    #[test]
    fn a_corrupt_site_message_never_panics(message in strategy::from_member(), corruptions in corruptions()) {
        let mut bytes = encode_from_member(&message);
        corruptions.iter().for_each(|corruption| corruption.apply(&mut bytes));
        check_bytes(&bytes)?;
    }

    #[test]
    fn a_corrupt_server_message_never_panics(message in strategy::from_parent(), corruptions in corruptions()) {
        let mut bytes = encode_from_parent(&message);
        corruptions.iter().for_each(|corruption| corruption.apply(&mut bytes));
        check_bytes(&bytes)?;
    }

    #[test]
    fn a_corrupt_refusal_never_panics(refusal in strategy::refusal(), corruptions in corruptions()) {
        let mut bytes = encode_refusal(&refusal);
        corruptions.iter().for_each(|corruption| corruption.apply(&mut bytes));
        check_bytes(&bytes)?;
    }

    #[test]
    fn a_corrupt_site_record_never_panics(
        record in strategy::site_record(),
        of_key: bool,
        corruptions in corruptions(),
    ) {
        let (mut key, body) = site_change(&record);
        let mut body = body.expect("a record");
        corruptions.iter().for_each(|corruption| corruption.apply(if of_key { &mut key } else { &mut body }));
        check_records(&key, &body)?;
    }

    #[test]
    fn a_corrupt_fleet_record_never_panics(
        record in strategy::fleet_record(),
        of_key: bool,
        corruptions in corruptions(),
    ) {
        let (mut key, body) = fleet_change(&record);
        let mut body = body.expect("a record");
        corruptions.iter().for_each(|corruption| corruption.apply(if of_key { &mut key } else { &mut body }));
        check_records(&key, &body)?;
    }
}
