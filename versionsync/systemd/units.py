"""The systemd units, all made from one description, so that they cannot drift apart. Pure.

For the machine there are a daemon (`versionsync.service` with its socket) and a sync by timer
(`versionsync-sync.service` with its timer), each also as a template for several configurations; and the same for one
user, without what only root can ask for. `deploy/systemd` shows those of the machine:
`python -m versionsync.systemd.units` writes it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Final

__all__ = [
    "ABOUT",
    "DAEMON",
    "DEFAULT_ADDRESS",
    "DEFAULT_PROGRAM",
    "IDENTITY",
    "OF_A_USER",
    "OF_THE_MACHINE",
    "READ_BY_SYSTEMD",
    "SEVERAL",
    "SOCKET",
    "START_LIMIT",
    "SYNC",
    "TIMER",
    "UNPACKS",
    "USER",
    "WITH_SOCKET",
    "Unit",
    "UnitOptions",
    "units_of",
]

_ANYBODY_CAN: Final = """\
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

OF_THE_MACHINE: Final = f"""\
# What it needs is its state directory, name resolution and outgoing connections. Everything else is shut.
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
# Left open: ProcSubset=pid. It hides the boot's id, by which a lease of a killed process is known to be over at once.
CapabilityBoundingSet=
AmbientCapabilities=
KeyringMode=private
RemoveIPC=yes
{_ANYBODY_CAN}\
# Left open: AF_UNIX, by which it speaks to systemd, its journal and a local PostgreSQL.
# Left open: IPAddressDeny=any, PrivateNetwork=yes. It talks to DatoCMS, whose addresses change, perhaps to PostgreSQL.
"""

OF_A_USER: Final = f"""\
# As far as a user's own service manager can shut it in. The machine's service is shut in much further.
{_ANYBODY_CAN}"""


ABOUT: Final = """\
# {does} every version of every record.
#
{several}\
# Settings: {settings}, with api_token_file = "{credential}".
# Token: {token}, mode 0600{read}.
# A SQLite mirror lies in {state}.
# Change any of this with `{edit}`, not here.
"""

SEVERAL: Final = "# One of several configurations, each with a NAME (letters, digits, - and _; 19 at the most).\n"
READ_BY_SYSTEMD: Final = ": systemd reads it and hands it over; the service's own user cannot"

START_LIMIT: Final = """\
# One that ends again and again asks DatoCMS for little: it is started after longer and longer waits (see below). Where
# systemd is too old for these, it stays down after twenty starts within ten minutes, until somebody looks.
StartLimitIntervalSec=600
StartLimitBurst=20
"""

DAEMON: Final = """\
[Service]
Type=notify
NotifyAccess=main
ExecStart={start} run
ExecReload=/bin/kill -HUP $MAINPID
{socket}{credential}
# Ready after the first look at each source. A first backfill may take hours: while it gets on, it asks for more time.
TimeoutStartSec=90
# It stops within two seconds.
TimeoutStopSec=10
# Fed by what gets done: a run that hangs, a database call that never returns or a stopped process end in a restart.
WatchdogSec=60
Restart=on-failure
RestartSec=5
# From 5 s to a minute in six steps. systemd before 254 does not know these two, and says so.
RestartSteps=6
RestartMaxDelaySec=60
# 2: the settings are wrong. 243: a file with a secret is not there. Starting again changes nothing.
RestartPreventExitStatus=2 243
# Files and connections. Its own port takes a hundred of them at the most, however many call.
LimitNOFILE=4096
"""

WITH_SOCKET: Final = """\
# It is started together with its socket, also where that has given up, as it does after twenty starts in vain.
Sockets={socket}
"""

SYNC: Final = """\
[Service]
Type=oneshot
ExecStart={start} sync
{credential}
# A first backfill may take hours; one that is ended goes on from there the next time.
TimeoutStartSec=1d
TimeoutStopSec=10
# 7: another process writes to the same source, and does the same work. 130: it was told to stop. But 3, a partial sync,
# is a failure: `systemctl --failed` shows it until one succeeds; the timer goes on meanwhile.
SuccessExitStatus=7 130
"""

USER: Final = """\
# A user that exists only while it runs; of the same name, whichever unit writes to this state.
DynamicUser=yes
User={state}
"""

UNPACKS: Final = """\
# A single file unpacks itself before it starts.
CacheDirectory={state}
Environment=SHIV_ROOT=%C/{state}
"""

IDENTITY: Final = """\
{user}\
StateDirectory={state}
StateDirectoryMode=0700
WorkingDirectory=%S/{state}
UMask=0077
"""

SOCKET: Final = """\
# Where the daemon answers: health, metrics, status, webhooks. systemd holds the socket, so that a webhook that comes
# while the daemon restarts waits instead of being refused. [http] of the settings does not count then, but where
# `versionsync service install` has found it.
# Change the address with `{edit}`, not here.

[Unit]
Description=versionsync, its HTTP port{which}

[Socket]
ListenStream={address}
Backlog=1024

[Install]
WantedBy=sockets.target
"""

TIMER: Final = """\
# For those who prefer a sync now and then to a daemon: no port, no webhooks; a change is seen when the next one runs.
# Change the times with `{edit}`, not here.

[Unit]
Description=versionsync, when to mirror{which}

[Timer]
# A sync that finds nothing new is one request. While one still runs, no other is started.
OnCalendar=*:0/15
# Not everybody's at the same moment, but each machine's always in the same one.
RandomizedDelaySec=2min
FixedRandomDelay=yes
# What was missed while the machine was off is made up for.
Persistent=yes

[Install]
WantedBy=timers.target
"""


DEFAULT_PROGRAM: Final = PurePosixPath("/opt/versionsync/bin/versionsync")
DEFAULT_ADDRESS: Final = "127.0.0.1:8765"
FOLDER: Final = Path(__file__).resolve().parents[2] / "deploy" / "systemd"


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit file: its name and what stands in it."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitOptions:
    """Which units are meant: the user's or the machine's, a sync by timer or a daemon, one configuration or several.

    `instance` is the name of one of several configurations: their units are templates.
    """

    user: bool = False
    timer: bool = False
    instance: str | None = None

    @property
    def stem(self) -> str:
        """The name of the unit files, without their kind."""
        return f"versionsync{'-sync' if self.timer else ''}{'' if self.instance is None else '@'}"

    @property
    def service(self) -> str:
        """The service, as systemctl knows it."""
        return f"{self.stem}{self.instance or ''}.service"

    @property
    def starter(self) -> str | None:
        """What starts the service, its timer or its socket; None: an instance of the daemon listens by itself."""
        if self.timer:
            return f"{self.stem}{self.instance or ''}.timer"
        return None if self.instance is not None else f"{self.stem}.socket"

    @property
    def enabled(self) -> tuple[str, ...]:
        """The units that are enabled, in the order in which they are started."""
        starter = (self.starter,) if self.starter else ()
        return starter if self.timer else (*starter, self.service)

    @property
    def state(self) -> str:
        """The name of its state directory. One never lies in another: they have different owners."""
        return "versionsync" if self.instance is None else f"versionsync-{self.instance}"

    @property
    def settings(self) -> str:
        """The name of its settings file."""
        return f"{self.instance or 'versionsync'}.toml"

    @property
    def credential(self) -> str:
        """The file beside its settings with the token, unless the settings name another."""
        return "api_token" if self.instance is None else f"{self.instance}.token"

    @property
    def systemctl(self) -> str:
        """How systemctl is called for it."""
        return "systemctl --user" if self.user else "systemctl"


def units_of(
    form: UnitOptions, program: PurePosixPath = DEFAULT_PROGRAM, *, is_single_file: bool = False
) -> tuple[Unit, ...]:
    """The unit files of `form`, the service first; `program` is the installed program's path.

    One that `is_single_file` unpacks itself, and is given a place for that.
    """
    form = form if form.instance is None else replace(form, instance="%i")
    service = Unit(f"{form.stem}.service", _service(form, program, is_single_file))
    if form.starter is None:
        return (service,)
    kind, text = ("timer", TIMER) if form.timer else ("socket", SOCKET)
    which = " (%i)" if form.instance else ""
    text = text.format(which=which, edit=_edit(form, f".{kind}"), address=DEFAULT_ADDRESS)
    return service, Unit(f"{form.stem}.{kind}", text)


def _service(form: UnitOptions, program: PurePosixPath, is_single_file: bool) -> str:
    start = f"{_quoted(str(program))} --config {'%E' if form.user else '/etc'}/versionsync/{form.settings}"
    runs = SYNC if form.timer else DAEMON
    socket = WITH_SOCKET.format(socket=form.starter) if form.starter else ""
    does = runs.format(start=start, credential=_handed_over(form), socket=socket)
    parts = [_about(form), _unit(form), does, _identity(form)]
    if is_single_file:
        parts.append(UNPACKS.format(state=form.state))
    parts.append(OF_A_USER if form.user else OF_THE_MACHINE)
    if not form.timer:
        also = f"Also={form.starter}\n" if form.starter else ""
        parts.append(f"[Install]\nWantedBy={'default' if form.user else 'multi-user'}.target\n{also}")
    return "\n".join(parts)


def _about(form: UnitOptions) -> str:
    named = form if form.instance is None else replace(form, instance="NAME")
    return ABOUT.format(
        does="Mirrors, whenever its timer says so," if form.timer else "Follows DatoCMS projects and mirrors",
        several="" if form.instance is None else SEVERAL,
        settings=f"{'%E' if form.user else '/etc'}/versionsync/{named.settings}",
        token=f"{'%E' if form.user else '/etc'}/versionsync/{named.credential}",
        credential=named.credential,
        read="" if form.user else READ_BY_SYSTEMD,
        state=f"{'%S' if form.user else '/var/lib'}/{named.state}",
        edit=_edit(form),
    )


def _unit(form: UnitOptions) -> str:
    lines = ["[Unit]", f"Description=versionsync, mirrors the record versions of DatoCMS{_which(form)}"]
    if not form.user:
        socket = f" {form.starter}" if form.starter and not form.timer else ""
        lines += ["Wants=network-online.target", f"After=network-online.target postgresql.service{socket}"]
    return "\n".join(lines) + "\n" + ("" if form.timer else START_LIMIT)


def _identity(form: UnitOptions) -> str:
    return IDENTITY.format(user="" if form.user else USER.format(state=form.state), state=form.state)


def _handed_over(form: UnitOptions) -> str:
    return "" if form.user else f"LoadCredential={form.credential}:/etc/versionsync/{form.credential}\n"


def _which(form: UnitOptions) -> str:
    of = [*(["%i"] if form.instance else []), *(["by timer"] if form.timer else [])]
    return f" ({', '.join(of)})" if of else ""


def _edit(form: UnitOptions, kind: str = "") -> str:
    return f"{form.systemctl} edit {form.stem}{'NAME' if form.instance else ''}{kind}"


def _quoted(path: str) -> str:
    """A path as the program of an `ExecStart=`."""
    path = path.replace("%", "%%")
    if not any(char in path for char in " \"'\\"):
        return path
    escaped = path.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def main(argv: Sequence[str]) -> int:
    """Write `deploy/systemd`; with --check only say whether it is current."""
    forms = [UnitOptions(timer=timer, instance=instance) for timer in (False, True) for instance in (None, "%i")]
    wanted = {unit.name: unit.text for form in forms for unit in units_of(form)}
    there = {file.name: file.read_text() for file in FOLDER.glob("versionsync*")}
    if "--check" in argv:
        if old := sorted(name for name in wanted | there if wanted.get(name) != there.get(name)):
            sys.stderr.write(f"deploy/systemd is not current: {', '.join(old)}\n")
        return int(bool(old))
    for name, text in wanted.items():
        (FOLDER / name).write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
