"""The service as it is installed: units under a real systemd."""
