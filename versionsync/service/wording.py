"""What the unit files say, in pieces; `units` puts them together."""

from __future__ import annotations

from typing import Final

__all__ = [
    "ABOUT",
    "DAEMON",
    "IDENTITY",
    "READ_BY_SYSTEMD",
    "SEVERAL",
    "SOCKET",
    "START_LIMIT",
    "SYNC",
    "TIMER",
    "UNPACKS",
    "USER",
    "WITH_SOCKET",
]

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
