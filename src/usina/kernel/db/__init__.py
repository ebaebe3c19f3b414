"""The database: engine, unit of work, migrations."""
