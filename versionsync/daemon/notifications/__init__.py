"""Notifications about sources: when one is due, its text, and how it is sent."""
