"""versionsync as a systemd service: its units, and how they are installed, checked and removed."""
