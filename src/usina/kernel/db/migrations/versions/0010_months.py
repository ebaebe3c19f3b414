"""Months: on PostgreSQL the event log is partitioned by when its jobs were made.

Ids of jobs are ordered by time, so a range of ids is a range of time. What has no job, and what no
month takes, has a place of its own below the default partition. Opening and dropping a month
changes the schema, which the role that serves may not; two functions of the owner do it.
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_TABLE = """
ALTER TABLE events RENAME TO events_before;
ALTER TABLE events_before DROP CONSTRAINT pk_events;
DROP INDEX uq_events_job_id_seq, ix_events_organization_id_position;
CREATE TABLE events (LIKE events_before INCLUDING DEFAULTS) PARTITION BY RANGE (job_id);
ALTER SEQUENCE events_position_seq OWNED BY events.position;
CREATE UNIQUE INDEX uq_events_job_id_seq ON events (job_id, seq);
CREATE INDEX ix_events_organization_id_position ON events (organization_id, position);
CREATE TABLE events_default PARTITION OF events DEFAULT PARTITION BY LIST (job_id);
CREATE TABLE events_of_no_job PARTITION OF events_default (CHECK (job_id IS NULL))
  FOR VALUES IN (NULL);
CREATE TABLE events_stray PARTITION OF events_default DEFAULT
"""
_FIRST_ID = """
CREATE FUNCTION usina_first_id(moment timestamp) RETURNS uuid LANGUAGE sql IMMUTABLE
RETURN rpad(lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0'), 32, '0')::uuid
"""
_OPEN = """
CREATE FUNCTION usina_open_month(month date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
  name text := to_char(date_trunc('month', month), '"events_"YYYY_MM');
  low uuid := usina_first_id(date_trunc('month', month)::timestamp);
  high uuid := usina_first_id(date_trunc('month', month)::timestamp + interval '1 month');
BEGIN
  LOCK TABLE ONLY events IN SHARE UPDATE EXCLUSIVE MODE;
  IF to_regclass(name) IS NOT NULL THEN
    RETURN;
  END IF;
  EXECUTE format('CREATE TABLE %I (LIKE events INCLUDING DEFAULTS)', name);
  LOCK TABLE events_stray IN ACCESS EXCLUSIVE MODE;
  EXECUTE format('WITH late AS (DELETE FROM events_stray WHERE job_id >= $1 AND job_id < $2'
    ' RETURNING *) INSERT INTO %I SELECT * FROM late', name) USING low, high;
  EXECUTE format('ALTER TABLE events ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
    name, low, high);
END $$
"""
_DROP = """
CREATE FUNCTION usina_drop_month(month date) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = {schema}, pg_temp SET lock_timeout = '2s' AS $$
DECLARE
  name text := to_char(date_trunc('month', month), '"events_"YYYY_MM');
  low uuid := usina_first_id(date_trunc('month', month)::timestamp);
  high uuid := usina_first_id(date_trunc('month', month)::timestamp + interval '1 month');
BEGIN
  IF NOT pg_has_role('usina_engine', 'USAGE') THEN
    RAISE EXCEPTION 'whoever owns the log does not see every job';
  END IF;
  IF EXISTS (SELECT FROM jobs WHERE id >= low AND id < high) THEN
    RETURN false;
  END IF;
  LOCK TABLE ONLY events IN ACCESS EXCLUSIVE MODE;
  IF to_regclass(name) IS NULL OR EXISTS (SELECT FROM jobs WHERE id >= low AND id < high) THEN
    RETURN false;
  END IF;
  EXECUTE format('DROP TABLE %I', name);
  RETURN true;
END $$
"""
_MONTHS = """
SELECT usina_open_month(month::date) FROM generate_series(
  date_trunc('month', (SELECT least(now(), to_timestamp(('x' || left(replace(min(job_id::text),
    '-', ''), 12))::bit(48)::bigint / 1000.0)) FROM events_before) AT TIME ZONE 'UTC'),
  now() AT TIME ZONE 'UTC' + interval '3 months', '1 month') AS month
"""


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    schema = connection.exec_driver_sql("SELECT quote_ident(current_schema())").scalar_one()
    statements = [
        *_TABLE.split(";"),
        _FIRST_ID,
        _OPEN.format(schema=schema),
        _DROP.format(schema=schema),
        "REVOKE ALL ON FUNCTION usina_open_month, usina_drop_month FROM PUBLIC",
        _MONTHS,
        "INSERT INTO events SELECT * FROM events_before",
        "DROP TABLE events_before",
    ]
    for statement in statements:
        connection.exec_driver_sql(statement)
