//! Tests of the call runner with a provider that is not DNS.

use super::*;

type Runner = CallRunner<&'static str, u8>;
type TestEffect = Effect<&'static str, &'static str>;

const FIRST: CallId = CallId(1);

const fn at(seconds: u64) -> Instant {
    Instant::after_origin(Duration::from_secs(seconds))
}

fn down(after: Option<u64>) -> ProviderFailure {
    ProviderFailure::Retry { after: after.map(Duration::from_secs), reason: Text::lossy("connection refused") }
}

/// A runner whose settings were validated.
fn validated() -> Runner {
    let mut runner = Runner::new();
    runner.begin_round(at(0));
    let _: TestEffect = runner.validate(FIRST, "validate");
    assert_eq!(runner.handle_answer(FIRST), Some(Answered::Validation));
    runner.set_capabilities(7);
    runner
}

fn delay(effect: &TestEffect) -> Duration {
    let Effect::Wait(delay) = effect else { panic!("{effect:?}") };
    *delay
}

#[test]
fn an_answer_returns_the_work_of_its_call_once() {
    let mut runner = validated();
    let effect: TestEffect = runner.start(CallId(2), "work", "request");
    assert_eq!(effect, Effect::Call { call: CallId(2), request: "request" });
    assert!(runner.is_busy() && runner.call() == Some(CallId(2)));
    assert_eq!(runner.handle_answer(FIRST), None, "an answer to another call");
    assert_eq!(runner.handle_answer(CallId(2)), Some(Answered::Work("work")));
    assert_eq!(runner.handle_answer(CallId(2)), None, "a second answer");
}

#[test]
fn a_failed_call_opens_the_circuit_and_delays_grow_to_a_limit() {
    let (mut runner, mut rng) = (validated(), Rng::new(1));
    assert_eq!(runner.capabilities(), Some(&7));
    for _ in 0..40 {
        let effect: TestEffect = runner.fail(&down(None), "provider x, calling", at(1), &mut rng);
        assert!(delay(&effect) <= RETRY_MAX);
        assert_eq!(runner.capabilities(), None, "the next round starts with a validation");
        assert!(!runner.is_ready(), "it waits");
        runner.handle_timeout();
        assert!(runner.is_ready());
        runner.begin_round(at(1));
    }
    assert_eq!(runner.failure().unwrap().text.as_str(), "provider x, calling: connection refused");
    let _: TestEffect = runner.end_round(at(2), &mut rng);
    assert_eq!(runner.failure(), None);
    let effect: TestEffect = runner.fail(&down(None), "provider x, calling", at(3), &mut rng);
    assert!(delay(&effect) <= RETRY_FIRST, "a success starts the delays over");
}

#[test]
fn a_service_can_delay_the_retry_up_to_a_limit() {
    let (mut runner, mut rng) = (validated(), Rng::new(1));
    let effect: TestEffect = runner.fail(&down(Some(1800)), "x", at(0), &mut rng);
    assert_eq!(delay(&effect), Duration::from_secs(1800));
    let effect: TestEffect = runner.fail(&down(Some(1_000_000)), "x", at(0), &mut rng);
    assert_eq!(delay(&effect), RETRY_AFTER_MAX);
}

#[test]
fn plugin_and_service_failures_raise_different_conditions() {
    let (mut runner, mut rng) = (validated(), Rng::new(1));
    let reason = Text::lossy("trapped");
    let _: TestEffect = runner.fail(&ProviderFailure::Broken { reason: reason.clone() }, "x", at(0), &mut rng);
    assert_eq!(runner.failure().unwrap().kind, ConditionKind::PluginFailed);
    let _: TestEffect = runner.fail(&ProviderFailure::Unauthorized { reason }, "x", at(0), &mut rng);
    assert_eq!(runner.failure().unwrap().kind, ConditionKind::ProviderFailed);
    assert_eq!(runner.failure().unwrap().text.as_str(), "x: the credentials are not accepted: trapped");
}

#[test]
fn another_round_runs_while_an_earlier_call_may_take_effect() {
    let (mut runner, mut rng) = (validated(), Rng::new(1));
    let effect: TestEffect = runner.end_round(at(10), &mut rng);
    assert_eq!(delay(&effect), RECHECK_DELAY - Duration::from_secs(10));
    runner.handle_timeout();
    runner.begin_round(at(30));
    let effect: TestEffect = runner.end_round(at(30), &mut rng);
    let regular = RECONCILE_INTERVAL * 4 / 5..=RECONCILE_INTERVAL;
    assert!(regular.contains(&delay(&effect)), "{effect:?}");
}

#[test]
fn an_answer_to_earlier_settings_is_discarded() {
    let mut runner = validated();
    let _: TestEffect = runner.start(CallId(2), "work", "request");
    runner.restart();
    assert!(runner.is_busy() && !runner.is_ready(), "still one call at a time");
    assert_eq!(runner.handle_answer(CallId(2)), Some(Answered::Discarded));
    assert!(runner.is_ready() && runner.capabilities().is_none());
}

#[test]
fn an_unanswered_call_times_out() {
    let mut runner = validated();
    assert_eq!(runner.unanswered(), None);
    let _: TestEffect = runner.start(CallId(2), "work", "request");
    let (call, failure) = runner.unanswered().unwrap();
    assert_eq!((call, failure.reason().as_str()), (CallId(2), "no answer within 120 s"));
}

#[test]
fn notes_are_written_before_the_calls_that_rely_on_them() {
    let (mut runner, mut rng) = (validated(), Rng::new(1));
    assert_eq!(runner.handle_noted(), None);
    let effect: TestEffect = runner.note("work", "notes");
    assert_eq!(effect, Effect::Note("notes"));
    assert!(runner.is_busy());
    assert_eq!(runner.handle_noted(), Some("work"));
    let _: TestEffect = runner.note("work", "notes");
    let effect: Option<TestEffect> = runner.handle_note_failed(&mut rng);
    assert!(delay(&effect.unwrap()) <= RETRY_FIRST);
    assert!(!runner.is_ready(), "the round is retried later");
    assert_eq!(runner.handle_noted(), None);
    runner.handle_timeout();
    assert!(runner.is_ready());
}

#[test]
fn a_provider_waiting_for_its_service_has_no_preview() {
    let (mut runner, mut rng) = (validated(), Rng::new(1));
    let _: TestEffect = runner.end_round(at(0), &mut rng);
    runner.request_preview();
    assert!(runner.is_preview() && runner.is_ready());
    let _: TestEffect = runner.fail(&down(None), "x", at(0), &mut rng);
    assert!(!runner.is_preview(), "the command that waits for it is answered");
    runner.request_preview();
    assert!(!runner.is_preview());
}

#[test]
fn a_repaired_plugin_is_retried_immediately() {
    let (mut runner, mut rng) = (validated(), Rng::new(1));
    let _: TestEffect = runner.fail(&down(Some(3600)), "x", at(0), &mut rng);
    runner.reset_failures();
    assert!(runner.is_ready() && runner.capabilities().is_none());
}
