"""What a role of PostgreSQL may do besides reading, in the database of a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import psycopg

__all__ = ["public_rights_to_write", "rights_to_write"]

# The words of a reason do not depend on the role: so a role's own reasons can be found by leaving out those of PUBLIC.
_RIGHTS: Final = r"""
WITH role AS (SELECT unnest(%(roles)s::oid[]) AS id),
own AS (SELECT * FROM pg_namespace AS n WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema')

SELECT 1, 'it may become the superuser ' || r.rolname FROM pg_roles AS r JOIN role ON role.id = r.oid
WHERE r.rolsuper
UNION ALL
SELECT 2, CASE WHEN r.rolcreaterole THEN 'it may create roles' WHEN r.rolcreatedb THEN 'it may create databases'
    ELSE 'it may replicate' END
FROM pg_roles AS r JOIN role ON role.id = r.oid WHERE r.rolcreaterole OR r.rolcreatedb OR r.rolreplication
UNION ALL
SELECT 2, 'it is a member of ' || r.rolname FROM pg_roles AS r JOIN role ON role.id = r.oid
WHERE r.rolname ~ '^pg_' AND r.rolname NOT IN
    ('pg_read_all_data', 'pg_read_all_settings', 'pg_read_all_stats', 'pg_stat_scan_tables', 'pg_monitor')
UNION ALL
SELECT 3, 'it owns the database' FROM pg_database AS d JOIN role ON role.id = d.datdba
WHERE d.datname = current_database()
UNION ALL
SELECT 3, 'it owns the schema ' || n.nspname FROM pg_namespace AS n JOIN role ON role.id = n.nspowner
UNION ALL
SELECT 3, 'it owns ' || c.oid::regclass FROM pg_class AS c JOIN role ON role.id = c.relowner
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't'
UNION ALL
SELECT 3, 'it owns the function ' || p.oid::regproc FROM pg_proc AS p JOIN role ON role.id = p.proowner
UNION ALL
SELECT 3, 'it owns the large object ' || o.oid FROM pg_largeobject_metadata AS o JOIN role ON role.id = o.lomowner
UNION ALL
SELECT 4, 'CREATE in the database' FROM role
WHERE has_database_privilege(role.id, current_database(), 'CREATE')
UNION ALL
SELECT 4, 'CREATE in the schema ' || n.nspname FROM own AS n, role WHERE has_schema_privilege(role.id, n.oid, 'CREATE')
UNION ALL
SELECT 5, kind || ' on ' || c.oid::regclass FROM pg_class AS c JOIN own AS n ON n.oid = c.relnamespace, role,
    unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER', 'REFERENCES']) AS kind
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND has_table_privilege(role.id, c.oid, kind)
UNION ALL
SELECT 5, kind || ' on columns of ' || c.oid::regclass FROM pg_class AS c JOIN own AS n ON n.oid = c.relnamespace,
    role, unnest(ARRAY['INSERT', 'UPDATE', 'REFERENCES']) AS kind
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND has_any_column_privilege(role.id, c.oid, kind)
    AND NOT has_table_privilege(role.id, c.oid, kind)
UNION ALL
SELECT 5, kind || ' on the sequence ' || c.oid::regclass FROM pg_class AS c JOIN own AS n ON n.oid = c.relnamespace,
    role, unnest(ARRAY['USAGE', 'UPDATE']) AS kind
WHERE c.relkind = 'S' AND has_sequence_privilege(role.id, c.oid, kind)
UNION ALL
SELECT 6, 'USAGE on the foreign server ' || s.srvname FROM pg_foreign_server AS s, role
WHERE has_server_privilege(role.id, s.oid, 'USAGE')
UNION ALL
SELECT 6, 'USAGE on the foreign data wrapper ' || w.fdwname FROM pg_foreign_data_wrapper AS w, role
WHERE has_foreign_data_wrapper_privilege(role.id, w.oid, 'USAGE')
UNION ALL
SELECT 7, 'EXECUTE on ' || p.oid::regproc || ', which runs with the rights of ' || pg_get_userbyid(p.proowner)
FROM pg_proc AS p JOIN own AS n ON n.oid = p.pronamespace, role
WHERE p.prosecdef AND has_function_privilege(role.id, p.oid, 'EXECUTE')
    AND has_schema_privilege(role.id, n.oid, 'USAGE')
UNION ALL
SELECT 7, 'EXECUTE on ' || p.oid::regproc || ' in the untrusted language ' || l.lanname
FROM pg_proc AS p JOIN own AS n ON n.oid = p.pronamespace JOIN pg_language AS l ON l.oid = p.prolang, role
WHERE NOT l.lanpltrusted AND l.lanname NOT IN ('c', 'internal') AND has_function_privilege(role.id, p.oid, 'EXECUTE')
    AND has_schema_privilege(role.id, n.oid, 'USAGE')
UNION ALL
SELECT 7, 'EXECUTE on ' || p.oid::regproc FROM pg_proc AS p, role
WHERE p.proname IN ('lo_export', 'lo_import', 'pg_create_restore_point', 'pg_file_rename', 'pg_file_sync',
        'pg_file_unlink', 'pg_file_write', 'pg_ls_dir', 'pg_promote', 'pg_read_binary_file', 'pg_read_file',
        'pg_reload_conf', 'pg_rotate_logfile', 'pg_stat_file', 'pg_switch_wal')
    AND has_function_privilege(role.id, p.oid, 'EXECUTE')
"""
_ROLE: Final = """
SELECT bool_or(r.rolsuper AND r.rolname = {role}), array_agg(r.oid)
FROM pg_roles AS r WHERE pg_has_role({role}, r.oid, 'MEMBER')
"""
_PUBLIC: Final = 0


def rights_to_write(connection: psycopg.Connection, role: str | None = None) -> list[str]:
    """Return what a role may do besides reading, in words; the worst first, and nothing if it may only read.

    The rights of PUBLIC and of each role that it may become count. Temporary tables do not, nor do catalogs.

    Args:
        connection: To the database in question.
        role: The name of the role. None: the one that has connected.
    """
    query = _ROLE.format(role="session_user" if role is None else "%(role)s::name")
    found = connection.execute(query, {"role": role} if role else None).fetchone()
    if found is None or found[0]:
        return ["it is a superuser"]
    return _rights(connection, found[1])


def public_rights_to_write(connection: psycopg.Connection) -> list[str]:
    """Return what every role may do besides reading."""
    return _rights(connection, [_PUBLIC])


def _rights(connection: psycopg.Connection, roles: list[int]) -> list[str]:
    found = {text: rank for rank, text in connection.execute(_RIGHTS.encode(), {"roles": roles})}
    return sorted(found, key=lambda text: (found[text], text))
