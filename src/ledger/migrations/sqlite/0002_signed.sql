-- Who recorded it, by which policy, of which cluster; covered by the record's hash. Null in records of the first layout.
ALTER TABLE records ADD COLUMN instance TEXT;
ALTER TABLE records ADD COLUMN epoch INTEGER;
ALTER TABLE records ADD COLUMN cluster TEXT;
ALTER TABLE records ADD COLUMN policy TEXT;

-- Of a checkpoint alone: the last record that it stands for, and its instance's signature of the checkpoint's hash.
ALTER TABLE records ADD COLUMN through INTEGER;
ALTER TABLE records ADD COLUMN signature BLOB;

CREATE INDEX records_that_stand_for_others ON records (through) WHERE through IS NOT NULL;

DROP TRIGGER records_never_go;

CREATE TRIGGER records_go_behind_a_checkpoint_alone BEFORE DELETE ON records
WHEN NOT EXISTS (SELECT 1 FROM records WHERE through >= OLD.seq)
BEGIN
    SELECT RAISE(ABORT, 'a ledger is append-only');
END;

-- The last record that each instance appended, signed by its key.
CREATE TABLE heads (
    instance  TEXT PRIMARY KEY,
    key       BLOB NOT NULL,
    seq       INTEGER NOT NULL,
    hash      BLOB NOT NULL,
    epoch     INTEGER NOT NULL,
    signature BLOB NOT NULL
) STRICT;
