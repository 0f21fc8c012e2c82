"""What `versionsync doctor` checks, a module a subject."""
