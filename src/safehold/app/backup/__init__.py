"""A copy of a home while it works: what may travel, as one moment left it, and nothing of what lies outside.

1. Both databases are copied as they stood at one moment: the control database did not change between the moment that
   is copied of it and that of the journal. So the copy is what a crash at that moment would have left, which the next
   keeper knows how to finish.
   What is published of the ledger is copied before, so that its head is never ahead of the journal.
2. Sealed objects never change; one that is gone when its turn comes was past its retention, and is counted.
3. Every file is in the manifest with its SHA-256; a copy that was not finished has no manifest.
4. Epoch secrets, the local witness and the trust policy are not in it, and must be in no backup: without them a copy
   opens nothing, and a keeper that would start on an older one is told by its witnesses that it is behind.
5. A backup is files, wherever the parts of the home lay: rows and objects are carried as they lie, so that it comes
   back to files or to servers alike.
"""

from safehold.app.backup.making import create
from safehold.app.backup.manifest import verify
from safehold.app.backup.restoring import restore, take_back

__all__ = ["create", "restore", "take_back", "verify"]
