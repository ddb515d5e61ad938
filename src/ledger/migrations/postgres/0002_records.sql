-- The same as the layouts of `../sqlite` together; the number is theirs.
CREATE TABLE records (
    seq       BIGINT PRIMARY KEY,
    at        TEXT NOT NULL,
    run       TEXT,
    kind      TEXT NOT NULL,
    body      BYTEA NOT NULL,
    prev      BYTEA NOT NULL,
    hash      BYTEA NOT NULL,
    instance  TEXT,
    epoch     BIGINT,
    cluster   TEXT,
    policy    TEXT,
    through   BIGINT,
    signature BYTEA
);

CREATE INDEX records_by_run ON records (run, seq) WHERE run IS NOT NULL;

CREATE INDEX records_that_stand_for_others ON records (through) WHERE through IS NOT NULL;

CREATE TABLE heads (
    instance  TEXT PRIMARY KEY,
    key       BYTEA NOT NULL,
    seq       BIGINT NOT NULL,
    hash      BYTEA NOT NULL,
    epoch     BIGINT NOT NULL,
    signature BYTEA NOT NULL
);

CREATE FUNCTION records_never_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a ledger is append-only';
END $$;

CREATE FUNCTION records_go_behind_a_checkpoint_alone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM records WHERE through >= OLD.seq) THEN
        RETURN OLD;
    END IF;
    RAISE EXCEPTION 'a ledger is append-only';
END $$;

CREATE TRIGGER records_never_change BEFORE UPDATE ON records FOR EACH ROW EXECUTE FUNCTION records_never_change();

CREATE TRIGGER records_never_go BEFORE DELETE ON records FOR EACH ROW EXECUTE FUNCTION records_go_behind_a_checkpoint_alone();

CREATE TRIGGER records_never_go_at_once BEFORE TRUNCATE ON records FOR EACH STATEMENT EXECUTE FUNCTION records_never_change();

-- Texts as the bytes that were hashed.
CREATE VIEW stored AS
SELECT seq, convert_to(at, 'UTF8') AS at, convert_to(run, 'UTF8') AS run, convert_to(kind, 'UTF8') AS kind, body, prev, hash,
       convert_to(instance, 'UTF8') AS instance, epoch, convert_to(cluster, 'UTF8') AS cluster,
       convert_to(policy, 'UTF8') AS policy, through, signature, run AS of_run, instance AS of_instance
FROM records;
