"""What must never be stored, or not as it was.

``minimise`` takes a chunk of events in wire form and returns what may be stored of it. ``scan``
finds sensitive spans in text columns, ``scan_names`` in the names of things. No result, error or
count holds a value.
"""

from safehold.dlp.minimise import Minimised, minimise
from safehold.dlp.redact import mask_text
from safehold.dlp.rules import Rules
from safehold.dlp.scan import scan, scan_names

__all__ = ["Minimised", "Rules", "mask_text", "minimise", "scan", "scan_names"]
