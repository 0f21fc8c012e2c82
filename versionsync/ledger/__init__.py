"""The rules, pure: what a version, a record and an event is, and what a look at upstream changes in the mirror."""
