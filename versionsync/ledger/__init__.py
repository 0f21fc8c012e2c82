"""Pure rules: what a version, a record and an event is, and how a check of upstream changes the mirror."""
