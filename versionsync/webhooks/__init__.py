"""DatoCMS's webhooks: payloads, registration, the log of calls. Pure."""
