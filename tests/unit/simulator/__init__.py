"""The simulated project: by example, and by a machine that plays editors against a naive second model."""
