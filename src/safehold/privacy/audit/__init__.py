"""Does a trainer keep the promise it states? Audits that a broken one does not pass."""
