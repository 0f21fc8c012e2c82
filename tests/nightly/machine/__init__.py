"""A machine that tries to break the mirror."""
