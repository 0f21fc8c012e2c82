"""Settings: one definition, from which come loading, checks, defaults and the example file."""
