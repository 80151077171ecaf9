//! The types that prost generates from `link.proto` and `record.proto`, named by package and file. They are in
//! `generated/`; `tests/generated.rs` writes them.
//!
//! They hold unchecked peer input, so they do not leave this crate. A list element costs a peer at least two bytes, and
//! the receiver its size in memory: the sizes below bound how far a hostile frame can grow.

/// The package `linecamp.link`.
pub(crate) mod link {
    /// The file `link.proto`.
    #[allow(unreachable_pub, unused_qualifications, clippy::all, reason = "generated")]
    pub(crate) mod v1 {
        include!("../generated/linecamp.link.v1.rs");
    }
}

/// The package `linecamp.record`.
pub(crate) mod record {
    /// The file `record.proto`.
    #[allow(unreachable_pub, unused_qualifications, clippy::all, reason = "generated")]
    pub(crate) mod v1 {
        include!("../generated/linecamp.record.v1.rs");
    }
}

#[cfg(test)]
mod tests {
    use super::link::v1;

    /// A list element of two bytes may take at most 32 times its size in memory.
    const ELEMENT_BYTES_MAX: usize = 64;

    #[test]
    fn a_hostile_list_grows_by_a_small_factor() {
        let check = |name, bytes| assert!(bytes <= ELEMENT_BYTES_MAX, "{name} takes {bytes} bytes");
        check("SpecEntry", size_of::<v1::SpecEntry>());
        check("StatusEntry", size_of::<v1::StatusEntry>());
        check("Label", size_of::<v1::Label>());
        check("Condition", size_of::<v1::Condition>());
        check("Event", size_of::<v1::Event>());
        check("SecretUse", size_of::<v1::SecretUse>());
        check("ExtraRecord", size_of::<v1::ExtraRecord>());
        check("RecordStatus", size_of::<v1::RecordStatus>());
        check("an authority", size_of::<Vec<u8>>());
    }
}
