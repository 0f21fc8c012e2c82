"""Build the systemd units from one set of templates, so that they stay consistent. Pure.

The system units are a daemon (`versionsync.service` with its socket) and a sync by timer (`versionsync-sync.service`
with its timer). Both also exist as templates for several configurations. The units of a user are the same without what
only root can ask for. `python -m versionsync.systemd.units` writes the system units to `deploy/systemd`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Final

__all__ = [
    "DEFAULT_ADDRESS",
    "DEFAULT_PROGRAM",
    "Unit",
    "UnitOptions",
    "units_of",
]

_SANDBOX: Final = """\
NoNewPrivileges=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
"""

_SYSTEM_SANDBOX: Final = f"""\
# It needs its state directory, name resolution and outgoing connections. Everything else is denied.
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
PrivateMounts=yes
PrivateUsers=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
# Not set: ProcSubset=pid. It hides the boot id, which shows at once that the lease of a killed process has ended.
CapabilityBoundingSet=
AmbientCapabilities=
KeyringMode=private
RemoveIPC=yes
{_SANDBOX}\
# AF_UNIX stays allowed: it connects to systemd, the journal and a local PostgreSQL.
# Not set: IPAddressDeny=any, PrivateNetwork=yes. It connects to DatoCMS, whose addresses change, and to PostgreSQL.
"""

_USER_SANDBOX: Final = f"""\
# What the service manager of a user can deny. The system service is denied much more.
{_SANDBOX}"""


_ABOUT: Final = """\
# {does} every version of every record.
#
{several}\
# Settings: {settings}, with api_token_file = "{credential}".
# More sources, if you have many: {sources}/*.toml.
# Token: {token}, mode 0600{read}.
# A SQLite mirror is in {state}.
# To change any of this, use `{edit}`.
"""

_SEVERAL: Final = "# One of several configurations. Each has a NAME (at most 19 letters, digits, - and _).\n"
_READ_BY_SYSTEMD: Final = ". systemd reads it for the service, whose own user cannot"

_START_LIMIT: Final = """\
# A service that keeps failing restarts after longer and longer waits (see below), so it sends DatoCMS few requests. An
# older systemd does not know these waits. There it stays down after twenty starts in ten minutes, until you start it.
StartLimitIntervalSec=600
StartLimitBurst=20
"""

_DAEMON: Final = """\
[Service]
Type=notify
NotifyAccess=main
ExecStart={start} run
ExecReload=/bin/kill -HUP $MAINPID
{socket}{credential}
# Ready after the first run of each source. A first backfill may take hours. While it makes progress, it asks for more
# time.
TimeoutStartSec=90
# It stops within two seconds.
TimeoutStopSec=10
# Progress resets the watchdog. A stuck run, a database call that never returns and a stopped process lead to a restart.
WatchdogSec=60
Restart=on-failure
RestartSec=5
# From 5 s to a minute in six steps. systemd before 254 does not know these two settings, and warns.
RestartSteps=6
RestartMaxDelaySec=60
# 2: the settings are wrong. 243: a file with a secret is missing. A restart would fail again.
RestartPreventExitStatus=2 243
# For files and connections: those of the runs in progress, whose number is limited, and at most a hundred connections
# at its own port. A source that waits for its next check needs none, so this is enough for thousands.
LimitNOFILE=4096
"""

_WITH_SOCKET: Final = """\
# Starting the service also starts its socket, which systemd stops after twenty failed starts.
Sockets={socket}
"""

_SYNC: Final = """\
[Service]
Type=oneshot
ExecStart={start} sync
{credential}
# A first backfill may take hours. If it is stopped, the next one continues.
TimeoutStartSec=1d
TimeoutStopSec=10
# 7: another process writes to the same source, and does the same work. 130: it was stopped. But 3, a partial sync, is a
# failure: `systemctl --failed` shows it until one succeeds. The timer goes on meanwhile.
SuccessExitStatus=7 130
"""

_USER: Final = """\
# A user that exists only while the service runs. All units that write to this state have the same user.
DynamicUser=yes
User={state}
"""

_UNPACKS: Final = """\
# The single-file program unpacks itself before it starts.
CacheDirectory={state}
Environment=SHIV_ROOT=%C/{state}
"""

_IDENTITY: Final = """\
{user}\
StateDirectory={state}
StateDirectoryMode=0700
WorkingDirectory=%S/{state}
UMask=0077
"""

_SOCKET: Final = """\
# The daemon's HTTP port: health, metrics, status, webhooks. systemd holds the socket, so a webhook call that arrives
# during a restart waits instead of being refused. `versionsync service install` takes the address from [http] of the
# settings. A later change of [http] has no effect until you install again.
# To change the address, use `{edit}`.

[Unit]
Description=versionsync, its HTTP port{which}

[Socket]
ListenStream={address}
Backlog=1024

[Install]
WantedBy=sockets.target
"""

_TIMER: Final = """\
# A regular sync instead of a daemon: no port and no webhooks. The next sync finds a change.
# To change the times, use `{edit}`.

[Unit]
Description=versionsync, when to mirror{which}

[Timer]
# A sync that finds nothing new is one request. While one runs, no other starts.
OnCalendar=*:0/15
# Spread over machines, but always at the same moment on one machine.
RandomizedDelaySec=2min
FixedRandomDelay=yes
# After the machine was off, run a missed sync at once.
Persistent=yes

[Install]
WantedBy=timers.target
"""


DEFAULT_PROGRAM: Final = PurePosixPath("/opt/versionsync/bin/versionsync")
DEFAULT_ADDRESS: Final = "127.0.0.1:8765"


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit file."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitOptions:
    """Which units to build."""

    user: bool = False
    """Units of the current user instead of system units."""
    timer: bool = False
    """A sync by timer instead of a daemon."""
    instance: str | None = None
    """The name of one of several configurations: their units are templates."""

    @property
    def stem(self) -> str:
        """Return the name of the unit files without their suffix."""
        return f"versionsync{'-sync' if self.timer else ''}{'' if self.instance is None else '@'}"

    @property
    def service(self) -> str:
        return f"{self.stem}{self.instance or ''}.service"

    @property
    def starter(self) -> str | None:
        """Return the timer or socket that starts the service. An instance of the daemon has none: it opens its port."""
        if self.timer:
            return f"{self.stem}{self.instance or ''}.timer"
        return None if self.instance is not None else f"{self.stem}.socket"

    @property
    def enabled(self) -> tuple[str, ...]:
        """Return the units to enable, in the order in which they start."""
        starter = (self.starter,) if self.starter else ()
        return starter if self.timer else (*starter, self.service)

    @property
    def state(self) -> str:
        """Return the name of the state directory. One is never inside another: they have different owners."""
        return "versionsync" if self.instance is None else f"versionsync-{self.instance}"

    @property
    def settings(self) -> str:
        return f"{self.instance or 'versionsync'}.toml"

    @property
    def sources(self) -> str:
        """Return the name of the folder beside the settings that may hold more sources."""
        return "sources.d" if self.instance is None else f"{self.instance}.sources.d"

    @property
    def credential(self) -> str:
        """Return the name of the token file beside the settings, unless these name another."""
        return "api_token" if self.instance is None else f"{self.instance}.token"

    @property
    def systemctl(self) -> str:
        """Return the systemctl command for these units."""
        return "systemctl --user" if self.user else "systemctl"


def units_of(
    options: UnitOptions, program: PurePosixPath = DEFAULT_PROGRAM, *, is_single_file: bool = False
) -> tuple[Unit, ...]:
    """Return the unit files, the service first. A program that is a single file needs a cache directory."""
    options = options if options.instance is None else replace(options, instance="%i")
    service = Unit(f"{options.stem}.service", _service(options, program, is_single_file))
    if options.starter is None:
        return (service,)
    kind, text = ("timer", _TIMER) if options.timer else ("socket", _SOCKET)
    which = " (%i)" if options.instance else ""
    text = text.format(which=which, edit=_edit(options, f".{kind}"), address=DEFAULT_ADDRESS)
    return service, Unit(f"{options.stem}.{kind}", text)


def _service(options: UnitOptions, program: PurePosixPath, is_single_file: bool) -> str:
    start = f"{_quoted(str(program))} --config {'%E' if options.user else '/etc'}/versionsync/{options.settings}"
    runs = _SYNC if options.timer else _DAEMON
    socket = _WITH_SOCKET.format(socket=options.starter) if options.starter else ""
    does = runs.format(start=start, credential=_credential(options), socket=socket)
    parts = [_about(options), _unit(options), does, _identity(options)]
    if is_single_file:
        parts.append(_UNPACKS.format(state=options.state))
    parts.append(_USER_SANDBOX if options.user else _SYSTEM_SANDBOX)
    if not options.timer:
        also = f"Also={options.starter}\n" if options.starter else ""
        parts.append(f"[Install]\nWantedBy={'default' if options.user else 'multi-user'}.target\n{also}")
    return "\n".join(parts)


def _about(options: UnitOptions) -> str:
    named = options if options.instance is None else replace(options, instance="NAME")
    return _ABOUT.format(
        does="Mirrors, each time its timer fires," if options.timer else "Watches DatoCMS projects and mirrors",
        several="" if options.instance is None else _SEVERAL,
        settings=f"{'%E' if options.user else '/etc'}/versionsync/{named.settings}",
        sources=f"{'%E' if options.user else '/etc'}/versionsync/{named.sources}",
        token=f"{'%E' if options.user else '/etc'}/versionsync/{named.credential}",
        credential=named.credential,
        read="" if options.user else _READ_BY_SYSTEMD,
        state=f"{'%S' if options.user else '/var/lib'}/{named.state}",
        edit=_edit(options),
    )


def _unit(options: UnitOptions) -> str:
    lines = ["[Unit]", f"Description=versionsync, mirrors the record versions of DatoCMS{_which(options)}"]
    if not options.user:
        socket = f" {options.starter}" if options.starter and not options.timer else ""
        lines += ["Wants=network-online.target", f"After=network-online.target postgresql.service{socket}"]
    return "\n".join(lines) + "\n" + ("" if options.timer else _START_LIMIT)


def _identity(options: UnitOptions) -> str:
    return _IDENTITY.format(user="" if options.user else _USER.format(state=options.state), state=options.state)


def _credential(options: UnitOptions) -> str:
    return "" if options.user else f"LoadCredential={options.credential}:/etc/versionsync/{options.credential}\n"


def _which(options: UnitOptions) -> str:
    of = [*(["%i"] if options.instance else []), *(["by timer"] if options.timer else [])]
    return f" ({', '.join(of)})" if of else ""


def _edit(options: UnitOptions, kind: str = "") -> str:
    return f"{options.systemctl} edit {options.stem}{'NAME' if options.instance else ''}{kind}"


def _quoted(path: str) -> str:
    """Quote a path for `ExecStart=`."""
    path = path.replace("%", "%%")
    if not any(char in path for char in " \"'\\"):
        return path
    escaped = path.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
