"""From settings to running objects: mirror, clients, syncs, daemon. The command line and the daemon share it."""
