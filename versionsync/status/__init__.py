"""The status of sources: the health policy, snapshots of the database, and their JSON."""
