-- The ledger: one row a record, chained by hash, appended and never changed.
-- `trup` in ASCII: tells a ledger from any other database.
PRAGMA application_id = 1953658224;

-- `run` and `kind` repeat what the body says, for look-ups; `trueup audit verify` checks that they agree.
CREATE TABLE records (
    seq  INTEGER PRIMARY KEY,
    at   TEXT NOT NULL,
    run  TEXT,
    kind TEXT NOT NULL,
    body BLOB NOT NULL,
    prev BLOB NOT NULL,
    hash BLOB NOT NULL
) STRICT;

CREATE INDEX records_by_run ON records (run, seq) WHERE run IS NOT NULL;

CREATE TRIGGER records_never_change BEFORE UPDATE ON records
BEGIN
    SELECT RAISE(ABORT, 'a ledger is append-only');
END;

CREATE TRIGGER records_never_go BEFORE DELETE ON records
BEGIN
    SELECT RAISE(ABORT, 'a ledger is append-only');
END;
