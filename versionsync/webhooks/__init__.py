"""Webhooks of DatoCMS: their calls, the log of these calls, and how one is registered. Pure."""
