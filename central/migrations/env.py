"""Runs the office's migrations on the connection that central.db.migrate hands over."""

from alembic import context

from central.db.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, version_table="gatectl_schema")
with context.begin_transaction():
    context.run_migrations()
