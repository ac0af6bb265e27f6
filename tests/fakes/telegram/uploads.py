"""What the service makes of the files that a bot sends: sizes, pictures, covers, and what gets a player."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO

from PIL import Image

from tests.fakes.telegram import calls
from tests.fakes.telegram.calls import Upload
from tests.fakes.telegram.errors import ApiError, bad
from tests.fakes.telegram.world import Media, MediaKind, StoredFile, World

MAX_UPLOAD, MAX_PHOTO = 50 << 20, 10 << 20
MAX_COVER, MAX_COVER_SIDE = 200_000, 320


class Uploads:
    """Takes files into the world."""

    def __init__(self, world: World, fault: Callable[[str], None], *, local: bool) -> None:
        self._world = world
        self._fault = fault
        self._local = local

    def media(
        self,
        kind: MediaKind,
        source: Upload | str,
        title: str | None = None,
        performer: str | None = None,
        duration: int | None = None,
        cover: StoredFile | None = None,
    ) -> Media:
        """Return what a message shows of an upload, or of a file that is known. Raises `ApiError`."""
        if isinstance(source, str):
            if source not in self._world.files:
                raise bad("wrong file identifier/HTTP URL specified")
            file = self._world.files[source]
        elif not source.data:
            raise bad("file must be non-empty")
        elif len(source.data) > MAX_UPLOAD and not self._local:
            raise ApiError(413, "Request Entity Too Large")
        else:
            file = self._world.add_file(source.name, source.type, source.data)
        if kind == "photo":
            _check_picture(file.data)
        if kind == "audio" and not _is_music(file.data):
            self._fault(f"{file.name} is neither MP3 nor M4A; people would get a plain file without a player")
        return Media(kind, file, title, performer, duration, cover)

    def described(self, item: calls.Media, attached: Mapping[str, Upload]) -> Media:
        """Return the media of an `InputMedia` object."""
        source: Upload | str = attached[item.media[9:]] if item.media.startswith("attach://") else item.media
        cover = None if item.thumbnail is None else self.cover(attached[item.thumbnail[9:]])
        return self.media(item.type, source, item.title, item.performer, item.duration, cover)

    def cover(self, upload: Upload) -> StoredFile:
        """Keep a thumbnail; one that the service would ignore is a fault."""
        picture = Image.open(BytesIO(upload.data))
        if picture.format != "JPEG" or len(upload.data) > MAX_COVER or max(picture.size) > MAX_COVER_SIDE:
            self._fault(f"cover {picture.format} {picture.size} of {len(upload.data)} bytes would be ignored")
        return self._world.add_file(upload.name, upload.type, upload.data)


def _check_picture(data: bytes) -> None:
    try:
        size = Image.open(BytesIO(data)).size
    except OSError:
        raise bad("IMAGE_PROCESS_FAILED") from None
    if len(data) > MAX_PHOTO:
        raise bad("PHOTO_SAVE_FILE_INVALID")
    if sum(size) > 10_000 or max(size) > 20 * min(size):
        raise bad("PHOTO_INVALID_DIMENSIONS")


def _is_music(data: bytes) -> bool:
    return data[:3] == b"ID3" or (data[0] == 0xFF and data[1] & 0xE0 == 0xE0) or data[4:8] == b"ftyp"
