"""What the service may not do: the lines that all units share, each that stays open with its reason."""

from __future__ import annotations

from typing import Final

__all__ = ["OF_A_USER", "OF_THE_MACHINE"]

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
