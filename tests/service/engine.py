"""A container engine for real: buildah and podman with a folder of their own, so that no image of others is touched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

__all__ = ["BASE", "IMAGE", "Container", "Engine", "Ran"]

CHECKOUT: Final = Path(__file__).parents[2]
IMAGE: Final = "localhost/versionsync"
BASE: Final = "localhost/versionsync-base"
PACKAGES: Final = {
    "aardvark-dns": "/usr/lib/podman/aardvark-dns",
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "iptables": "iptables",
    "netavark": "/usr/lib/podman/netavark",
    "podman": "podman",
    "runc": "runc",
}
"""The packages of Debian that are needed, each with a program by which it is known to be there."""
CERTIFICATES: Final = Path("/etc/ssl/certs/ca-certificates.crt")
PIP: Final = f"[global]\ncert = {CERTIFICATES}\ntimeout = 180\n"

# runc, cgroupfs and vfs work also where this runs in a container or a virtual machine itself, without systemd.
_CONTAINERS: Final = """
[containers]
netns = "host"
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
pids_limit = -1
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[network]
network_backend = "netavark"
"""
_STORAGE: Final = '[storage]\ndriver = "vfs"\ngraphroot = "{folder}/storage"\nrunroot = "{folder}/run"\n'
# What Docker does by --read-only, and podman only with the second option. No privilege is left, none can be had.
_SHUT_IN: Final = ("--read-only", "--read-only-tmpfs=false", "--cap-drop=all", "--security-opt=no-new-privileges")


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command came to."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """What it said on standard error, without what podman says of its own."""
        return [line for line in self.err.splitlines() if line and not line.startswith("time=")]


class Engine:
    """Builds and runs. Everything lies in `folder`, which may be used again, or thrown away."""

    def __init__(self, folder: Path) -> None:
        missing = [package for package, program in PACKAGES.items() if shutil.which(program) is None]
        if missing:
            raise SystemExit(f"this needs: apt-get install --no-install-recommends {' '.join(missing)}")
        if os.geteuid() != 0:
            raise SystemExit("this needs root: a system is put together, and namespaces are made")
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        (folder / "containers.conf").write_text(_CONTAINERS)
        (folder / "storage.conf").write_text(_STORAGE.format(folder=folder))
        self.environ = os.environ | {
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
        }

    def run(self, *command: str, cwd: Path | None = None, **environ: str) -> Ran:
        """What `command` comes to."""
        ran = subprocess.run(command, env=self.environ | environ, cwd=cwd, text=True, capture_output=True, check=False)
        return Ran(ran.returncode, ran.stdout, ran.stderr)

    def must(self, *command: str, cwd: Path | None = None, **environ: str) -> str:
        """What `command` prints. Raises AssertionError if it fails."""
        ran = self.run(*command, cwd=cwd, **environ)
        assert ran.code == 0, f"{' '.join(command)} ends with {ran.code}:\n{ran.out}{ran.err}"
        return ran.out

    def make_base(self) -> None:
        """A Debian with Python in it, where there is none yet: no image can be had without a registry."""
        if self.run("buildah", "inspect", BASE).code == 0:
            return
        root, context = self.folder / "root", self.folder / "base"
        packages = "--include=python3,python3-venv,ca-certificates"
        self.must("debootstrap", "--variant=minbase", packages, "bookworm", str(root))
        shutil.rmtree(root / "var" / "cache" / "apt")
        shutil.rmtree(root / "var" / "lib" / "apt" / "lists")
        context.mkdir()
        self.must("tar", "--directory", str(root), "--create", "--file", str(context / "root.tar"), ".")
        (context / "Dockerfile").write_text("FROM scratch\nADD root.tar /\n")
        self.must("buildah", "bud", "--isolation=chroot", f"--tag={BASE}", str(context))
        shutil.rmtree(root)
        shutil.rmtree(context)

    def build(self) -> None:
        """The image of this checkout, on top of the base. Pip reads this machine's certificates, which do not stay."""
        (self.folder / "pip.conf").write_text(PIP)
        self.must(
            *("buildah", "bud", "--format=docker", "--isolation=chroot", "--network=host"),
            *("--volume", f"{CERTIFICATES}:{CERTIFICATES}:ro", "--secret", f"id=pip,src={self.folder / 'pip.conf'}"),
            *("--build-arg", f"BASE={BASE}", "--file", str(CHECKOUT / "deploy" / "container" / "Dockerfile")),
            *("--tag", IMAGE, str(CHECKOUT)),
        )

    def stand_in(self, name: str, dockerfile: str) -> None:
        """An image by that name, on top of the base, where there is none yet: for one that is in a registry."""
        if self.run("buildah", "inspect", name).code:
            context = self.folder / "stand-in"
            context.mkdir(exist_ok=True)
            (context / "Dockerfile").write_text(dockerfile.format(base=BASE))
            self.must("buildah", "bud", "--isolation=chroot", "--network=host", f"--tag={name}", str(context))

    def size(self, image: str) -> int:
        """In bytes."""
        return int(self.must("podman", "image", "inspect", "--format={{.Size}}", image))

    def volume(self, name: str) -> Path:
        """An empty volume; where its files are on this machine."""
        self.run("podman", "volume", "rm", "--force", name)
        self.must("podman", "volume", "create", name)
        return self.files_of(name)

    def files_of(self, volume: str) -> Path:
        """Where they are on this machine."""
        return Path(self.must("podman", "volume", "inspect", "--format={{.Mountpoint}}", volume).strip())

    def address_of(self, container: str) -> str:
        """By which this machine reaches it, on the network that it has."""
        template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        return self.must("podman", "inspect", f"--format={template}", container).strip()

    def once(self, *argv: str, options: tuple[str, ...] = (), **environ: str) -> Ran:
        """A command line of the program in a container that goes with it."""
        return self.run("podman", "run", "--rm", *_SHUT_IN, *_options(environ), *options, IMAGE, *argv)

    @contextmanager
    def running(self, name: str, *options: str, **environ: str) -> Iterator[Container]:
        """The daemon in a container that goes when the block ends."""
        self.run("podman", "rm", "--force", "--time=0", name)
        self.must("podman", "run", "--detach", f"--name={name}", *_SHUT_IN, *_options(environ), *options, IMAGE)
        container = Container(self, name)
        try:
            yield container
        except BaseException:
            sys.stderr.write(container.log())
            raise
        finally:
            self.run("podman", "rm", "--force", "--time=0", name)


class Container:
    """One that was started."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self.name = name

    def do(self, verb: str, *argv: str) -> str:
        """A verb of podman that is about it: kill, start, stop."""
        return self._engine.must("podman", verb, *argv, self.name)

    def shell(self, command: str) -> Ran:
        """A command within it."""
        return self._engine.run("podman", "exec", self.name, "sh", "-c", command)

    def is_healthy(self) -> bool:
        """What the image's own HEALTHCHECK says."""
        return self._engine.run("podman", "healthcheck", "run", self.name).code == 0

    @property
    def state(self) -> dict[str, Any]:
        """What podman knows."""
        found: dict[str, Any] = json.loads(self._engine.must("podman", "inspect", self.name))[0]["State"]
        return found

    @property
    def restarts(self) -> int:
        """How often the engine has started it again."""
        return int(self._engine.must("podman", "inspect", "--format={{.RestartCount}}", self.name))

    def has_ended(self, code: int) -> bool:
        """Whether it has, with that exit code."""
        state = self.state
        return not state["Running"] and state["Status"] == "exited" and state["ExitCode"] == code

    def log(self) -> str:
        """What it has said."""
        ran = self._engine.run("podman", "logs", self.name)
        return ran.out + ran.err


def _options(environ: Mapping[str, str]) -> list[str]:
    return [f"--env={name}={value}" for name, value in environ.items()]
