"""Several houses train one model; each keeps its own data, keeper and ledger."""
