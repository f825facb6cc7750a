"""Write a file or folder whole or not at all."""

import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_TRIES = 10


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends well.

    A file replaces a file, a folder a folder. Raises `FileNotFoundError` where the parent does not
    exist, `IsADirectoryError` or `NotADirectoryError` where the kinds differ; after an error what
    was there before is there still, and nothing else.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path.name}: there is no folder {path.parent}.")
    unique = uuid.uuid4().hex[:8]
    temporary, replaced = (path.parent / f".{path.stem}-{unique}{end}" for end in (path.suffix, ""))
    try:
        yield temporary
        if path.is_dir() and not temporary.is_dir():
            raise IsADirectoryError(f"cannot write {path}: there is a folder of that name.")
        if path.is_file() and temporary.is_dir():
            raise NotADirectoryError(f"cannot write {path}: there is a file of that name.")
        try:
            if path.is_dir():
                path.replace(replaced)
            temporary.replace(path)
        except BaseException:
            if replaced.exists() and not path.exists():
                replaced.replace(path)
            raise
    finally:
        _remove(temporary)
        _remove(replaced)


def _remove(path: Path) -> None:
    if path.is_dir():
        # Writers that run in threads of their own may add a file while the folder is removed.
        for _ in range(_TRIES):
            shutil.rmtree(path, ignore_errors=True)
            if not path.exists():
                return
            time.sleep(0.1)
    else:
        path.unlink(missing_ok=True)
