"""Colours of lines that a file chose for some background, made legible on white."""

import colorsys
import re
from collections.abc import Sequence

# Okabe and Ito's without the yellow: told apart by all common kinds of colour vision.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#1A1A1A", "#7F5AA8")
_INK = "#1A1A1A"
_CONTRAST = 3.0  # with white, of 21: what guidelines ask of graphics
_HEX = re.compile(r"#(?:[0-9a-fA-F]{6}|[0-9a-fA-F]{3})")
_ALIKE = 0.3  # distance in RGB, of 1.73


def legible(colours: Sequence[str]) -> list[str]:
    """A colour for each line: the file's where white shows it, the same hue darker where not.

    `colours`: "#rrggbb" or "#rgb"; for anything else one of the palette is taken, as for a darkened
    colour that would look like another line's.
    """
    kept = {one: one for one in colours if _HEX.fullmatch(one) and _contrast(_rgb(one)) > _CONTRAST}
    taken = list(kept)
    found = []
    for number, one in enumerate(colours):
        if one not in kept or not one:
            made = _darkened(one) if _HEX.fullmatch(one) else PALETTE[number % len(PALETTE)]
            if any(_alike(made, other) for other in taken):
                free = (c for c in PALETTE if not any(_alike(c, other) for other in taken))
                made = next(free, PALETTE[number % len(PALETTE)])
            taken.append(made)
            if one:
                kept[one] = made
            found.append(made)
        else:
            found.append(kept[one])
    return found


def _darkened(colour: str) -> str:
    """The same hue with contrast enough; dark grey for white and light greys."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*_rgb(colour))
    if saturation < 0.1 or lightness > 0.97:
        return _INK
    while _contrast(colorsys.hls_to_rgb(hue, lightness, saturation)) <= _CONTRAST:
        lightness *= 0.95
    return "#" + "".join(
        f"{round(255 * part):02x}" for part in colorsys.hls_to_rgb(hue, lightness, saturation)
    )


def _rgb(colour: str) -> tuple[float, float, float]:
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    red, green, blue = (int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4))
    return red, green, blue


def _contrast(rgb: tuple[float, float, float]) -> float:
    """The contrast ratio with white of the Web Content Accessibility Guidelines, 1 to 21."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return 1.05 / (luminance + 0.05)


def _alike(one: str, other: str) -> bool:
    return sum((a - b) ** 2 for a, b in zip(_rgb(one), _rgb(other), strict=True)) ** 0.5 < _ALIKE
