"""The routes of the simulated API."""
