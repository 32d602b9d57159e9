"""What a model, a tokenizer, a notebook, a log or a table gives away, and whether it may be kept.

``inspect`` reads an artifact by its content and lists the places that hold something sensitive,
never the thing itself; ``admit`` raises when it may not be stored or may not leave. Pickles are
refused unread, and so is every format that nothing here can read.
"""

from safehold.dlp.artifact.inspection import Finding, Inspection, Use, admit, inspect

__all__ = ["Finding", "Inspection", "Use", "admit", "inspect"]
