"""Tests of `versionsync.restore`."""
