"""What editors do to assets: upload a file, describe or replace it, remove it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

from versionsync.simulator.errors import named
from versionsync.simulator.world.content import Json
from versionsync.simulator.world.environments import Environment
from versionsync.simulator.world.people_roles_tokens import Editor
from versionsync.simulator.world.state import NotificationType, WorldState
from versionsync.simulator.world.uploads import Files, Upload

__all__ = ["UploadActions"]


class UploadActions(WorldState):
    """Actions on uploads. The event log does not have them: a mirror only has their ids, in content."""

    @cached_property
    def files(self) -> Files:
        """The files that are expected or received, but not yet an upload."""
        return Files(self.project_id)

    def create_upload(
        self,
        editor: Editor,
        path: str,
        *,
        id: str | None = None,
        metadata: Mapping[str, Json] | None = None,
        environment: str | None = None,
        **settings: Any,
    ) -> Upload:
        """Create an upload of the file that was sent to *path*; *settings*: `author`, `copyright`, `notes`, `tags`."""
        where = self.environment(environment)
        file, now = self.files.facts(path), self.now()
        upload = Upload(
            self.new_id(id, where.uploads),
            path,
            file,
            editor.ref,
            now,
            now,
            metadata=dict(metadata or {}),
            **_set_members(settings),
        )
        self._put(where, upload)
        self.notify(NotificationType.CREATE, where, upload)
        return upload

    def update_upload(
        self,
        editor: Editor,
        upload_id: str,
        *,
        path: str | None = None,
        keep_url: bool = False,
        basename: str | None = None,
        creator: Editor | None = None,
        metadata: Mapping[str, Json] | None = None,
        environment: str | None = None,
        **settings: Any,
    ) -> Upload:
        """Change the given settings.

        *path*: the path of a file that was sent and replaces the old one; with *keep_url* the old path stays.
        Another *basename* changes the path. Only the members of *metadata* that are sent change.
        """
        where = self.environment(environment)
        upload = self.upload(upload_id, environment=where.id)
        now = self.now()
        changed = replace(
            upload,
            updated_at=now,
            creator=upload.creator if creator is None else creator.ref,
            metadata={**upload.metadata, **(metadata or {})},
            **_set_members(settings),
        )
        if path is not None:
            changed = replace(changed, file=self.files.facts(path), path=upload.path if keep_url else path)
        if basename is not None and basename != changed.basename:
            _, dot, extension = changed.file.filename.rpartition(".")
            name = f"{basename}{dot}{extension}" if dot else basename
            changed = replace(changed, file=replace(changed.file, filename=name), path=self.files.new_path(name, now))
        self._put(where, changed)
        self.notify(NotificationType.UPDATE, where, changed)
        return changed

    def destroy_upload(self, editor: Editor, upload_id: str, *, environment: str | None = None) -> Upload:
        """Remove an upload; records keep its id."""
        where = self.environment(environment)
        upload = self.upload(upload_id, environment=where.id)
        del where.uploads[upload.id]
        where.touch(self.now(), moves_beacon=self.options.uploads_move_beacon)
        self.notify(NotificationType.DELETE, where, upload)
        return upload

    def upload(self, upload_id: str, *, environment: str | None = None) -> Upload:
        """Return the upload with this id. Raise ApiError (404)."""
        return named("upload", upload_id, self.environment(environment).uploads)

    def _put(self, where: Environment, upload: Upload) -> None:
        where.uploads[upload.id] = upload
        where.touch(self.now(), moves_beacon=self.options.uploads_move_beacon)


def _set_members(sent: Mapping[str, Any]) -> dict[str, Any]:
    tags: Iterable[str] | None = sent.get("tags")
    return dict(sent) if tags is None else {**sent, "tags": tuple(tags)}
