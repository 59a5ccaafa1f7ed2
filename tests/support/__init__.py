"""Real servers for tests: a database, the service, and processes that leave nothing behind."""
