"""The daemon: checks sources for as long as it runs, and reports their state."""
