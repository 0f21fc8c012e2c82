"""The daemon: follows sources for years, looks when it is worth it, and tells how it is going."""
