//! The settings of a provider are validated against the plugin's description before the plugin is called.

use linecamp_model::{Grant, ProviderFailure, ProviderReply, ProviderRequest, ProviderSpec, SecretName};

use super::fixture::{Setup, endpoint, spec_of};

#[tokio::test]
async fn all_problems_of_the_settings_are_reported_and_the_plugin_is_not_called() {
    let mut bench = Setup { validates_settings: true, ..Setup::default() }.start();
    // A call would end with the plugin's panic.
    let grant = Grant { plain_http: true, reach: [endpoint("service.example:80")].into(), ..Grant::default() };
    let right = spec_of(r#"{"do":"panic","url":"http://service.example/"}"#, &grant);
    let name = SecretName::parse("tokn").unwrap();
    let wrong = ProviderSpec { secrets: [(name.clone(), name)].into(), grant: Grant::default(), ..right.clone() };
    match bench.ask(&wrong, ProviderRequest::Validate).await {
        ProviderReply::Failed(ProviderFailure::Refused { reason, part: None }) => {
            let expected = "the settings do not fit plugin malicious 6.6.6: secrets.tokn: unknown secret; the plugin \
                            has key; reach: service.example:80 is missing, but the plugin calls it; list it in \
                            reach_private if its address is private; plain_http: required, because the plugin calls an \
                            http:// URL";
            assert_eq!(reason.as_str(), expected);
        }
        other => panic!("{other:?}"),
    }
    assert!(bench.broken(&right, ProviderRequest::Validate).await.contains("panicked"));
}
