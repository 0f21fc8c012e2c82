"""Queries of users, which only read: the database itself enforces that."""
