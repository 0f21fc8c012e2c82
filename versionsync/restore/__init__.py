"""Restore: write content of the mirror back to DatoCMS, by a plan. The only code that writes content upstream."""
