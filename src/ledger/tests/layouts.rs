//! A ledger of the first layout, as the trueup of then wrote it (`testdata/ledgers/layout-1.sqlite`), goes on being read, and
//! loses nothing when it is brought up to date.

use super::*;

const HEAD: &str = "74bbd79f2d1f305835299a5fbd9d42f28d2a69a8fc44dd9feb75185517a6956c";

fn first_layout() -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ledger.sqlite");
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/ledgers/layout-1.sqlite");
    std::fs::copy(kept, &path).expect("copied");
    (folder, path)
}

#[tokio::test]
async fn the_first_layout_is_read_without_being_changed() {
    let (_folder, path) = first_layout();
    let before = std::fs::read(&path).expect("read");
    let ledger = Ledger::open_to_read(&path).await.expect("there");
    let audit = ledger.verify().await.expect("read");
    let Audit::Whole { records: 13, head: Some(head), pruned: 0, signed: Signed::Nobody } = audit else { panic!("{audit:?}") };
    assert_eq!((head.seq, head.hash.to_string().as_str()), (13, HEAD));
    assert_eq!(ledger.signed_head().await.expect("read"), None);
    ledger.close().await.expect("closed");
    assert_eq!(std::fs::read(&path).expect("read"), before);
}

#[tokio::test]
async fn bringing_the_first_layout_up_to_date_loses_nothing() {
    let (_folder, path) = first_layout();
    let old = Ledger::open_to_read(&path).await.expect("there");
    let (entries, runs, standing) =
        (old.entries(0).await.expect("read"), old.runs().await.expect("read"), old.standing().await.expect("read"));
    old.close().await.expect("closed");
    assert_eq!((entries.len(), runs.len()), (13, 4));

    let ledger = Ledger::open(&path).await.expect("brought up to date");
    assert_eq!(ledger.entries(0).await.expect("read"), entries);
    assert_eq!(ledger.runs().await.expect("read"), runs);
    assert_eq!(ledger.standing().await.expect("read"), standing);
    let (records, head) = whole(&ledger.verify().await.expect("read"));
    assert_eq!((records, head.expect("there").hash.to_string().as_str()), (13, HEAD));
    let appended = ledger.append(&escalation("goes on"), second(0)).await.expect("recorded");
    assert_eq!(appended.seq, 14);
    let audit = ledger.verify().await.expect("read");
    assert!(matches!(audit, Audit::Whole { records: 14, signed: Signed::Here(_), .. }), "{audit:?}");
    let mut named = Vec::new();
    ledger.each(|kept| named.push(kept.by.is_some())).await.expect("read");
    assert_eq!(named, [vec![false; 13], vec![true]].concat());
}

/// An old record put behind named ones is forged, however well it is chained.
#[tokio::test]
async fn no_record_of_the_first_layout_follows_a_later_one() {
    let (_folder, path) = first_layout();
    let ledger = Ledger::open(&path).await.expect("brought up to date");
    let head = ledger.append(&escalation("goes on"), second(0)).await.expect("recorded");
    let entry = escalation("forged");
    let mut row = Row::sealed(15, second(1), &entry, entry.encode().expect("JSON"), head.hash, &nobody());
    (row.instance, row.epoch) = (None, None);
    row.hash = row.computed_hash().bytes().to_vec();
    Intruder::at(&Location::File(path)).await.insert(&row).await;
    let Audit::Broken { seq: 15, why } = ledger.verify().await.expect("read") else { panic!("not found") };
    assert_eq!(why, "it names nobody, and the records before it do");
}
