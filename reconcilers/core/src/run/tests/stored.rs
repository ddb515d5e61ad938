//! The form in which records are kept.

use proptest::prelude::*;

use super::*;

#[test]
fn a_secrets_values_are_found_before_they_are_recorded() {
    assert_eq!(intent(FIRST, "Secret", patch_of(&json!({}))).secret_at(), Some("data"));
    assert_eq!(patch(FIRST).secret_at(), None);
}

#[test]
fn the_stored_form_is_versioned() {
    let entry = Entry::Verification { run: id(FIRST), outlook: Outlook::Settled, why: None };
    let stored = entry.encode().expect("JSON");
    let text = r#"{"format":1,"entry":{"verification":{"run":"01JD3M8Q4T7Z5V9K2W6XBCRY00","outlook":"settled"}}}"#;
    assert_eq!(String::from_utf8_lossy(&stored), text);
    assert!(matches!(Entry::decode(br#"{"format":2,"entry":{"dream":{}}}"#), Err(DecodeError::Later(2))));
    assert!(matches!(Entry::decode(b"\x00\xff"), Err(DecodeError::Malformed(_))));
}

proptest! {
    #[test]
    fn what_is_encoded_reads_back(texts in prop::collection::vec(".{0,12}", 4), number in any::<i64>()) {
        let entry = intent(FIRST, &texts[0], Effect::Patch(PatchEffect {
            uid: Some(texts[1].clone()),
            resource_version: None,
            patch: json!({&texts[2]: number, "gone": null}),
            pre_image: json!({&texts[2]: &texts[3]}),
            inverse: json!([number, texts[3]]),
            ..PatchEffect::default()
        }));
        let stored = entry.encode().expect("JSON");
        prop_assert_eq!(Entry::decode(&stored).expect("an entry"), entry);
    }
}
