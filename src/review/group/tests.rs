//! What is grouped with what, and how many proposals come of it.

use proptest::prelude::*;

use super::*;

fn key(class: &str, app: &str, remedy: Remedy) -> Key {
    Key { remedy, class: class.to_owned(), app: App { namespace: "shop".to_owned(), name: app.to_owned() } }
}

fn keys() -> impl Strategy<Value = Vec<Key>> {
    let one = ("[a-c]", "[a-z]", any::<bool>());
    let key = one.prop_map(|(class, app, adopt)| key(&class, &app, if adopt { Remedy::Adopt } else { Remedy::Restore }));
    prop::collection::vec(key, 0..40)
}

proptest! {
    /// Whatever there is room for: no more groups than that, nothing lost, nothing twice, one question a group; and where all
    /// questions fit, nothing waits.
    #[test]
    fn groups_part_what_they_are_given(keys in keys(), room in 0_usize..20) {
        let members: Vec<(Key, usize)> = keys.iter().cloned().zip(0..).collect();
        let (groups, waiting) = groups(members, room);
        prop_assert!(groups.len() <= room);
        let mut all: Vec<usize> = groups.iter().flatten().chain(&waiting).copied().collect();
        all.sort_unstable();
        prop_assert_eq!(all, (0..keys.len()).collect::<Vec<_>>());
        for group in &groups {
            prop_assert!(common(group.iter().map(|member| keys[*member].remedy)).is_some(), "one question: {:?}", group);
        }
        let questions: BTreeSet<Remedy> = keys.iter().map(|key| key.remedy).collect();
        prop_assert!(waiting.is_empty() || room < questions.len());
        let apps: BTreeSet<&Key> = keys.iter().collect();
        if apps.len() <= room {
            let is_one = |group: &Vec<usize>| common(group.iter().map(|member| &keys[*member])).is_some();
            prop_assert!(groups.len() == apps.len() && groups.iter().all(is_one), "each class and application for itself");
        }
    }

    /// What fits a proposal leaves it about one question.
    #[test]
    fn what_fits_asks_the_same(keys in keys(), one in keys()) {
        if let (Some(key), false) = (one.first(), keys.is_empty()) {
            let together = keys.iter().chain([key]).map(|key| key.remedy);
            prop_assert!(fit(key, &keys) == Fit::No || common(together).is_some());
        }
    }
}

#[test]
fn a_finding_goes_to_what_is_nearest() {
    let web = key("image", "web", Remedy::Adopt);
    let other = |class: &str, app: &str| key(class, app, Remedy::Adopt);
    assert_eq!(fit(&web, std::slice::from_ref(&web)), Fit::App);
    assert_eq!(fit(&web, &[other("image", "api")]), Fit::No, "another application has its own");
    assert_eq!(fit(&web, &[other("image", "api"), other("image", "db")]), Fit::Class);
    assert_eq!(fit(&web, &[other("image", "web"), other("scale", "db")]), Fit::Remedy);
    assert_eq!(fit(&web, &[other("scale", "web")]), Fit::No);
    assert_eq!(fit(&web, &[key("image", "web", Remedy::Restore)]), Fit::No);
}

#[test]
fn a_branch_is_named_by_its_places_and_never_twice() {
    let place = |text: &str| serde_json::from_value::<Place>(text.into()).expect("a place");
    let (one, two) = (place("p-1"), place("p-2"));
    let free = |_: &str| false;
    assert_eq!(branch([&one], free), "trueup/p-1");
    let both = branch([&one, &two], free);
    assert!(both.starts_with("trueup/g-") && both == branch([&two, &one], free) && both.len() == "trueup/g-".len() + 16);
    let other = branch([&one], |name| name == "trueup/p-1");
    assert!(other.starts_with("trueup/g-") && other != both);
    assert_ne!(branch([&one], |name| name == "trueup/p-1" || name == other), other);
}
