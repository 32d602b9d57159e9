"""The promise as code: loaded, signed by a board, compiled to policy."""
