"""Erase contents on request: what is found first, then one transaction, and a mark that syncs obey."""
