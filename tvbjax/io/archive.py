"""Reading members of an untrusted zip archive: bounded, never extracted, every refusal explained.

Knows no connectome. What is refused: names that lead out of the archive, encryption, repeated
names, more members or more bytes than a stated limit (as read, not as declared; bzip2 inside zip
too).
"""

import bz2
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath

_CHUNK = 1 << 16
_MEMBERS = 10_000


class Archive:
    """The readable members of a zip; make it with `open_archive`."""

    def __init__(self, path: Path, file: zipfile.ZipFile, limit: int):
        self.path = path
        self.limit = limit
        self._file = file
        self._read = 0
        self._members = self._checked_members()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the members, without folders and without macOS's `__MACOSX` and `._` files."""
        return tuple(self._members)

    def read(self, name: str) -> bytes:
        """The content of a member, with bzip2 undone if its name ends in .bz2."""
        member = self._members[name]
        if member.flag_bits & 0x1:
            raise ValueError(
                f"{self.path}: {name} is encrypted; unpack it and zip it again without a password."
            )
        try:
            with self._file.open(member) as stream:
                content = self._bounded(iter(lambda: stream.read(_CHUNK), b""), name)
            if name.lower().endswith(".bz2"):
                content = self._bounded(_bunzipped(content), name)
        except NotImplementedError as error:
            raise ValueError(
                f"{self.path}: {name} cannot be unpacked ({error}); zip it again with deflate."
            ) from error
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as error:
            raise ValueError(
                f"{self.path}: {name} is damaged ({error}); get the file again."
            ) from error
        return content

    def _bounded(self, chunks: Iterator[bytes], name: str) -> bytes:
        parts = []
        for chunk in chunks:
            self._read += len(chunk)
            if self._read > self.limit:
                raise ValueError(
                    f"{self.path}: {name} unpacks to more than the limit of {self.limit} bytes "
                    "for one archive; if you trust the file, raise limit_bytes."
                )
            parts.append(chunk)
        return b"".join(parts)

    def _checked_members(self) -> dict[str, zipfile.ZipInfo]:
        infos = self._file.infolist()
        if len(infos) > _MEMBERS:
            raise ValueError(f"{self.path}: {len(infos)} members; at most {_MEMBERS} are read.")
        members: dict[str, zipfile.ZipInfo] = {}
        for info in infos:
            name = info.filename
            if _leads_out(name):
                raise ValueError(
                    f"{self.path}: the member name {name!r} leads out of the archive; "
                    "a file like this is not to be trusted."
                )
            parts = PurePosixPath(name).parts
            if info.is_dir() or "__MACOSX" in parts or parts[-1].startswith("._"):
                continue
            if name in members:
                raise ValueError(
                    f"{self.path}: two members are named {name!r}; remove one of them."
                )
            members[name] = info
        return members


@contextmanager
def open_archive(path: str | os.PathLike[str], limit_bytes: int) -> Iterator[Archive]:
    """Open a zip for reading; in all it may unpack to `limit_bytes`. Raises ValueError."""
    path = Path(path)
    if path.exists() and not path.is_file():
        raise ValueError(f"{path}: not a file; name a zip archive.")
    try:
        file = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path}: not a zip archive, or a damaged one ({error}).") from error
    with file:
        yield Archive(path, file, limit_bytes)


def read_packed(path: str | os.PathLike[str], limit_bytes: int = 1 << 29) -> bytes:
    """The content of a file, with bzip2 undone if its name ends in .bz2.

    Raises FileNotFoundError, and ValueError where it is damaged or unpacks to more than the limit.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    content = path.read_bytes()
    if path.suffix.lower() != ".bz2":
        return content
    parts, size = [], 0
    try:
        for chunk in _bunzipped(content):
            size += len(chunk)
            if size > limit_bytes:
                raise ValueError(f"{path} unpacks to more than {limit_bytes} bytes.")
            parts.append(chunk)
    except (OSError, EOFError) as error:
        raise ValueError(f"{path} is damaged ({error}); get the file again.") from error
    return b"".join(parts)


def _leads_out(name: str) -> bool:
    windows = PureWindowsPath(name)
    return bool(windows.anchor) or ".." in windows.parts


def _bunzipped(content: bytes) -> Iterator[bytes]:
    """Chunks of what bzip2 packed; streams that follow one another count as one."""
    while content:
        unpacker = bz2.BZ2Decompressor()
        yield unpacker.decompress(content, _CHUNK)
        while not unpacker.eof:
            if unpacker.needs_input:
                raise EOFError("the bzip2 data end too early")
            yield unpacker.decompress(b"", _CHUNK)
        content = unpacker.unused_data
