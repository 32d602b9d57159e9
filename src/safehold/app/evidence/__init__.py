"""Evidence as the keeper gives it: facts fetched, verdicts, bundles."""
