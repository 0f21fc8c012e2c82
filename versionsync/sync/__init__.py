"""The engine: beacon, sweep, pull, run. It translates between the API, the ledger and the mirror."""
