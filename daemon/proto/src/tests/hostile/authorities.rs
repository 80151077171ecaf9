use super::*;

#[test]
fn an_invalid_set_of_authorities_is_rejected() {
    let check = |change: fn(&mut wire::AuthoritySet), problem: &str| {
        let bytes = server_message("authorities", |kind| match kind {
            from_parent::Kind::Authorities(set) => change(set),
            other => panic!("{other:?} is no set of authorities"),
        });
        check_server(&bytes, problem);
    };
    check(|set| set.number = 0, "authorities.number: sets are numbered from 1");
    check(|set| set.authorities.clear(), "authorities.authorities: is empty: nobody would be trusted");
    check(
        |set| set.authorities.extend(set.authorities.clone()),
        "authorities.authorities: has 4 elements; at most 2 are allowed",
    );
    check(|set| set.authorities[1] = set.authorities[0].clone(), "authorities.authorities: names an authority twice");
    check(|set| set.authorities[1].pin.truncate(31), "authorities.authorities[1].pin: has 31 bytes, not 32");
    check(
        |set| set.authorities[0].certificate.clear(),
        "authorities.authorities[0].certificate: a certificate has 1 to 16384 bytes, not 0",
    );
}
