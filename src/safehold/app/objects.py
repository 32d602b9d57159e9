"""Where the sealed objects of a home lie.

In the home, unless a file in the outside names a bucket. The file holds no credentials and does not travel with the
home. If it is lost, the objects are missing and every read says so; nothing is made up in their place.
"""

from __future__ import annotations

from safehold.app.outside import read_url, write_url
from safehold.settings import Home
from safehold.vault import Bucket, Objects, Place


def objects_of(home: Home) -> Objects:
    """Return the store of a home's sealed objects; nothing is asked of a bucket yet.

    Raises:
        InvalidError: The outside names something else than a bucket.
        UnavailableError: There are no credentials for it.
    """
    return objects_at(home, read_url(home.objects_url_file, rule="object.url"))


def objects_at(home: Home, url: str | None) -> Objects:
    """Return the store of a home's sealed objects at a place, whatever the outside names; raises likewise."""
    if url is None:
        return Objects(home.objects)
    return Bucket(Place.parse(url), home=home.id)


def choose_bucket(home: Home, url: str) -> Bucket:
    """Let the objects of a new home lie in a bucket, after trying whether it keeps its part.

    Raises:
        InvalidError: It is no place for objects, for example because the URL holds a secret.
        UnavailableError: The store does not answer, or lets objects be replaced.
    """
    bucket = Bucket(Place.parse(url), home=home.id)
    bucket.prove()
    write_url(home.objects_url_file, url)
    return bucket
