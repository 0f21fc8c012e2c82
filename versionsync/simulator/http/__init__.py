"""The HTTP server of the simulator: tokens, limits, faults, control endpoints."""
