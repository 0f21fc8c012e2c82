"""Copies of the mirror for other programs: JSON lines, CSV, Parquet and Git, each extended by what is new."""
