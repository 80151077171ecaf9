//! Banned words: each has a standard term in the field.
//!
//! The list only grows. A word is added when its last use is gone.

use crate::report::Report;
use crate::tree::files;

/// Banned words and their replacements. Matched as whole words, in code, comments and documents.
const BANNED: &[(&str, &str)] = &[
    ("Spot", "LocalAccess, or `local`"),
    ("serve_the_spot", "serve_local_calls"),
    ("Reread", "ConfigLoader"),
    ("Blotter", "Redactor"),
    ("blotter", "redactor"),
    ("blotted", "redacted"),
    ("ServerJudge", "ServerVerifier"),
    ("PeerJudge", "ClientVerifier"),
    ("Shelf", "PluginSlot"),
    ("Surroundings", "CallContext"),
    ("Rehearsal", "ConformanceRun"),
    ("Vouched", "RequestToSign"),
    ("Intake", "UploadService"),
    ("Departed", "RevokedKey"),
    ("has_departed", "is_revoked"),
    ("HeldRecord", "OwnedRecord"),
    ("HeldState", "Ownership"),
    ("status_history", "status_incarnation"),
    ("spec_history", "spec_incarnation"),
    ("ROUND_PERIOD", "RECONCILE_INTERVAL"),
    ("SECOND_LOOK", "RECHECK_DELAY"),
    ("LAPS_MAX", "PASSES_MAX"),
    ("DeactivateAsked", "DeactivateRequested"),
    ("ActivateAsked", "ActivateRequested"),
    ("RemoveAsked", "RemoveRequested"),
    ("asked_at", "requested_at"),
    ("JoinErrand", "JoinCommand"),
    ("Remark", "CheckResult"),
    ("Berth", "SiteSlot"),
    ("Happening", "SimEvent, PairEvent"),
    ("is_so_already", "is_noop"),
    ("let_go", "abandon_records"),
    ("singly", "one_change_per_call"),
    ("on_the_spot", "local"),
    ("need_of_wanted", "action_for_wanted"),
    ("Mark", "ReplicationCursor, or the noun that says what is marked"),
    ("Following", "SessionProgress"),
    ("WrittenError", "LayersError"),
    ("Scene", "PlanInput"),
    ("Desk", "PendingReplies"),
    ("HeldKey", "OwnedRecordKey"),
    ("HeldLabel", "LabelEntry"),
    ("dark_since", "offline_since"),
    ("is_leaving", "is_withdrawing"),
    ("RecordForeign", "RecordConflict"),
    ("RecordsHeld", "RecordsRetained"),
    ("records_in_trouble", "records_failed"),
    ("dark_changes", "offline_changes"),
    ("Mood", "NameServerFault, DiskFault"),
    ("DiskMood", "DiskFault"),
    ("JoinWish", "PendingJoin"),
    ("Chance", "RandomSource, SimRng"),
    ("Papers", "Credentials"),
    ("papers", "credentials"),
    ("Judge", "Verifier"),
    ("Asked", "StrictQuery, CallRequest or LocalCommand"),
    ("Looked", "Inspection"),
    ("Rehearsed", "InlineHost"),
    ("Seal", "TsigCredentials"),
    ("Whole", "CompleteUpload"),
    ("Doorway", "DataDirGuard"),
    ("Whom", "Targets"),
    ("whom", "the noun it stands for"),
    ("Glance", "RunProgress"),
    ("Need", "Action"),
    ("by_word", "write_counts"),
    ("blot_form", "redact"),
    ("blot", "redact"),
    ("last_words", "last_lines"),
    ("errand", "join command"),
    ("anew", "again, or restart"),
    ("wish", "request, or desired state"),
    ("whoever", "the noun it stands for"),
    ("set_on_the_spot", "set_locally"),
    ("lists_zones", "can_list_records"),
    ("changes_max", "max_batch_size"),
    ("Trouble", "Failure"),
    ("trouble", "failure"),
    ("troubles", "failures"),
    ("News", "CommitNotifier"),
    ("WISHES_MAX", "a limit named for its noun"),
    ("HandClock", "ManualClock"),
    ("somebody", "the noun it stands for"),
    ("Appointment", "ScheduledAct"),
    ("Door", "Validator"),
    ("TakenAway", "Retired"),
    ("identity_mood", "identity_disk_fault"),
    ("plugin_disk_mood", "plugin_disk_fault"),
    ("lost_on_the_spot", "lost_local_label"),
    ("told_ms", "durable_ms"),
    ("damaged", "corrupt"),
    ("Damaged", "Corrupt"),
    ("damage", "corruption"),
];

/// Files that quote the words: this list, the changelog, and the license.
const EXCEPT: [&str; 3] = ["tests/tidy/banned_terms.rs", "CHANGELOG.md", "LICENSE"];

#[test]
fn no_banned_word_is_written() {
    let mut report = Report::default();
    for file in files().iter().filter(|file| !EXCEPT.contains(&file.path.as_str())) {
        for (line, number) in file.text.lines().zip(1..) {
            let words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
            for word in words {
                if let Some((_, standard)) = BANNED.iter().find(|(banned, _)| *banned == word) {
                    report.add(&file.path, number, format!("`{word}`: write {standard}"));
                }
            }
        }
    }
    report.finish("write the standard term; if there is a better one than the list has, change the list.");
}
