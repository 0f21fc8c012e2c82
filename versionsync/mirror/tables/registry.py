"""Where all tables are registered: what a database must have."""

from __future__ import annotations

from sqlalchemy import MetaData

__all__ = ["metadata"]

metadata = MetaData(naming_convention={"pk": "pk_%(table_name)s"})
