"""The SQL of each table, a module a subject."""
