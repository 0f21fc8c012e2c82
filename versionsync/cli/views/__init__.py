"""What commands show: status, progress, services and webhooks."""
