"""The relational mirror, and nothing of DatoCMS's wire: schema, writer, queries, leases, migrations."""
