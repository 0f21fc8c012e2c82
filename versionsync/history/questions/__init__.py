"""The questions: each module has one query, and yields its answer row by row."""
