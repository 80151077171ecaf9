//! The store compared with a map, over random writes, failures and restarts.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Submit(Vec<Change>),
    SubmitTooLarge,
    Reopen,
}

fn any_step() -> impl Strategy<Value = Step> {
    let key = proptest::collection::vec(0..4_u8, 0..3);
    let body = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40));
    let change = (key, body).prop_map(|(key, body)| Change { key, body });
    prop_oneof![
        8 => proptest::collection::vec(change, 0..6).prop_map(Step::Submit),
        1 => Just(Step::SubmitTooLarge),
        1 => Just(Step::Reopen),
    ]
}

/// The owner in this test: its memory runs ahead of the disk and is rolled back when a write fails.
#[derive(Default)]
struct Owner {
    durable: BTreeMap<Vec<u8>, Vec<u8>>,
    pending: Vec<(u64, Vec<Change>)>,
    next: u64,
}

impl Owner {
    fn submit(&mut self, store: &Store, changes: Vec<Change>) {
        self.next += 1;
        match store.submit(self.next, changes.clone()) {
            Ok(()) => self.pending.push((self.next, changes)),
            Err(_) => store.resume(self.next),
        }
    }

    /// Receives every outstanding answer. All of them are for writes submitted before a resume, so none succeeds after
    /// a failed one.
    fn settle(&mut self, store: &Store, answers: &Receiver<Answer>) {
        let mut failed = false;
        for (number, changes) in self.pending.drain(..) {
            let Answer { write, result } = answers.recv_timeout(PATIENCE).unwrap();
            assert_eq!(write, number, "answers come in the order of submission");
            assert!(result.is_err() || !failed, "write {write} was decided on top of one that failed");
            if result.is_err() {
                failed = true;
                store.resume(write);
                continue;
            }
            for Change { key, body } in changes {
                match body {
                    Some(body) => self.durable.insert(key, body),
                    None => self.durable.remove(&key),
                };
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_equals_a_map_of_the_answered_writes(
        steps in proptest::collection::vec(any_step(), 1..60),
    ) {
        let reopen = |directory| Bench::in_directory(directory, nearly_full).free_running();
        let mut bench = reopen(tempfile::tempdir().unwrap());
        let mut owner = Owner::default();
        for step in steps.into_iter().chain([Step::Reopen]) {
            match step {
                Step::Submit(changes) => owner.submit(bench.store(), changes),
                Step::SubmitTooLarge => owner.submit(bench.store(), vec![put("large", &large())]),
                Step::Reopen => {
                    owner.settle(bench.store(), &bench.answers);
                    bench.store = None;
                    bench = reopen(bench.directory);
                    let expected: Vec<_> = owner.durable.clone().into_iter().collect();
                    prop_assert_eq!(&bench.documents, &expected);
                }
            }
        }
    }
}
