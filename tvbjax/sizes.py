"""Numbers of bytes, for people."""


def size_text(count: int | float) -> str:
    """`1.5 MB` and the like, in powers of 1000."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"
