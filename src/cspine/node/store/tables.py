"""Lays out the tables of the store; the same in SQLite and PostgreSQL. Moments are seconds since 1970."""

from sqlalchemy import (
    DDL,
    JSON,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
)

SCHEMA_VERSION = 1

metadata = MetaData()

facts = Table("facts", metadata, Column("name", String(64), primary_key=True), Column("value", Text, nullable=False))
"""What is said of the store as a whole: the version of its layout."""

series = Table(
    "series",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("series_uid", String(64), nullable=False, unique=True),
    Column("study_uid", String(64), nullable=False, index=True),
    Column("source", String(64), nullable=False),
    Column("site", String(64), nullable=False),
    Column("scanner", String(160), nullable=False),
    Column("kernel", String(64), nullable=False),
    Column("received_at", Float, nullable=False),
    Column("updated_at", Float, nullable=False, index=True),
    Column("scans_erased", Boolean, nullable=False, default=False),
)

patients = Table(
    "patients",
    metadata,
    Column("series_id", ForeignKey("series.id", ondelete="CASCADE"), primary_key=True),
    Column("patient_name", Text, nullable=False),
    Column("patient_id", Text, nullable=False),
    Column("birth_date", Text, nullable=False),
    Column("sex", Text, nullable=False),
    Column("accession", Text, nullable=False),
    Column("study_date", Text, nullable=False),
    Column("study_description", Text, nullable=False),
    Column("series_description", Text, nullable=False),
)

jobs = Table(
    "jobs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("series_id", ForeignKey("series.id", ondelete="CASCADE"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("key", String(64), nullable=False, unique=True),
    Column("digest", String(64), nullable=False),
    Column("images", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("changed_at", Float, nullable=False, index=True),
    Column("rule_minutes", Float, nullable=False, default=0.0),
    Column("credit_minutes", Float, nullable=False, default=0.0),
    Column("rank_at", Float, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("not_before", Float, nullable=False, default=0.0),
    Column("owner", String(128)),
    Column("lease_until", Float),
    Column("started_at", Float),
    Column("finished_at", Float),
    Column("probability", Float),
    Column("low", Float),
    Column("high", Float),
    Column("threshold", Float),
    Column("positive", Boolean),
    Column("levels", JSON, nullable=False, default=list),
    Column("code", String(64)),
    Column("reason", Text),
    Column("warnings", JSON, nullable=False, default=list),
    Column("package", String(128), nullable=False, default=""),
    Column("package_version", String(64), nullable=False, default=""),
    Column("timings", JSON, nullable=False, default=dict),
    Column("erased", Boolean, nullable=False, default=False),
    UniqueConstraint("series_id", "digest"),
    UniqueConstraint("series_id", "version"),
    Index("jobs_by_rank", "state", "rank_at"),
)
"""A job is one version of a series: its images at one moment, and what came of them."""

outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("destination", String(32), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("sop_uid", String(64), nullable=False),
    Column("sop_class", String(64), nullable=False),
    Column("file", String(128), nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("due_at", Float, nullable=False),
    Column("owner", String(128)),
    Column("lease_until", Float),
    Column("created_at", Float, nullable=False),
    Column("changed_at", Float, nullable=False, index=True),
    Column("delivered_at", Float),
    Column("error", Text),
    Column("transaction_uid", String(64), index=True),
    Column("asked_at", Float),
    UniqueConstraint("destination", "sop_uid"),
    Index("outbox_by_due", "destination", "state", "due_at"),
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job_id", ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("reader", String(64), nullable=False),
    Column("package", String(128), nullable=False),
    Column("package_version", String(64), nullable=False),
    Column("levels", JSON, nullable=False),
    Column("comment", Text, nullable=False),
    Column("created_at", Float, nullable=False, index=True),
)

audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("action", String(64), nullable=False),
    Column("subject", String(128), nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False, unique=True),
)

users = Table(
    "users",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("role", String(16), nullable=False),
    Column("password", Text),
    Column("token", String(64), unique=True),
    Column("created_at", Float, nullable=False),
    Column("disabled", Boolean, nullable=False, default=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token", String(64), primary_key=True),
    Column("name", String(64), nullable=False, index=True),
    Column("expires_at", Float, nullable=False, index=True),
)

counts = Table(
    "counts", metadata, Column("name", String(64), primary_key=True), Column("value", Integer, nullable=False, default=0)
)
"""Events that no other table remembers, as leases that expired."""

_REFUSAL = "The audit trail can only grow."


def _made_with_audit(dialect: str, statement: str) -> None:
    """Has a statement run in a database of one kind, when it gets the table of the audit trail."""
    made: DDL = DDL(statement)  # type: ignore[no-untyped-call]
    event.listen(audit, "after_create", made.execute_if(dialect=dialect))


for _act in ("UPDATE", "DELETE"):
    _made_with_audit(
        "sqlite", f"CREATE TRIGGER audit_no_{_act.lower()} BEFORE {_act} ON audit BEGIN SELECT RAISE(ABORT, '{_REFUSAL}'); END"
    )
_made_with_audit(
    "postgresql",
    f"CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION '{_REFUSAL}'; END $$",
)
_made_with_audit(
    "postgresql",
    "CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION refuse_change()",
)
