"""The daemon's HTTP server: health, metrics, status."""
