"""A project from the history of a Git repository."""
