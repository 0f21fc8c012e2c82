"""versionsync keeps every version of every DatoCMS record in a relational database of your own."""

from versionsync.errors import VersionsyncError

__all__ = ["VersionsyncError", "__version__"]

__version__ = "0.1.0"
