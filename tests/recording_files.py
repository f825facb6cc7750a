"""EDF and BrainVision files, as their specifications say: for tests, from arrays."""

from pathlib import Path

import numpy as np


def write_edf(path: Path, channels, samples: np.ndarray, rate: int) -> float:
    """Samples (time, channel) in uV, whole seconds of them. Returns the step of quantisation, uV.

    Kemp et al. 1992, Electroencephalogr. Clin. Neurophysiol. 82:391.
    """
    seconds, count = len(samples) // rate, len(channels)
    assert seconds * rate == len(samples)
    bound = float(np.ceil(np.abs(samples).max()))

    def fields(width, values):
        return "".join(str(value).ljust(width)[:width] for value in values)

    header = fields(8, ["0"]) + fields(80, ["X X X X", "Startdate X X X X"])
    header += fields(8, ["01.01.20", "00.00.00", 256 * (1 + count)]) + fields(44, [""])
    header += fields(8, [seconds, 1]) + fields(4, [count])
    header += fields(16, channels) + fields(80, [""] * count) + fields(8, ["uV"] * count)
    for value in (-bound, bound):
        header += fields(8, [f"{value:.0f}"] * count)
    for value in (-32767, 32767):
        header += fields(8, [value] * count)
    header += fields(80, [""] * count) + fields(8, [rate] * count) + fields(32, [""] * count)
    whole = np.rint(samples / bound * 32767).astype("<i2")
    records = whole.reshape(seconds, rate, count).transpose(0, 2, 1)
    path.write_bytes(header.encode("ascii") + records.tobytes())
    return bound / 32767


def write_brainvision(path: Path, channels, samples: np.ndarray, rate: int) -> None:
    """Samples (time, channel) in uV, as 32-bit floats, with header and (no) markers."""
    names = "".join(f"Ch{i}={name},,1,uV\n" for i, name in enumerate(channels, start=1))
    path.write_text(
        "Brain Vision Data Exchange Header File Version 1.0\n\n[Common Infos]\nCodepage=UTF-8\n"
        f"DataFile={path.stem}.eeg\nMarkerFile={path.stem}.vmrk\nDataFormat=BINARY\n"
        f"DataOrientation=MULTIPLEXED\nNumberOfChannels={len(channels)}\n"
        f"SamplingInterval={1e6 / rate:g}\n\n[Binary Infos]\nBinaryFormat=IEEE_FLOAT_32\n\n"
        f"[Channel Infos]\n{names}"
    )
    path.with_suffix(".vmrk").write_text(
        "Brain Vision Data Exchange Marker File, Version 1.0\n\n[Common Infos]\nCodepage=UTF-8\n"
        f"DataFile={path.stem}.eeg\n\n[Marker Infos]\n"
        "Mk1=New Segment,,1,1,0,2020010100000000000000\n"
    )
    path.with_suffix(".eeg").write_bytes(np.asarray(samples, "<f4").tobytes())
