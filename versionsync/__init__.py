"""versionsync keeps every version of every DatoCMS record in a relational database of your own."""

__version__ = "0.1.0"
