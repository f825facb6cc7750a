"""Readers and writers of files. Each module knows one format and nothing of simulation."""

from tvbjax.io.tvb_zip import (
    read_connectome_zip as read_connectome_zip,
    write_connectome_zip as write_connectome_zip,
)
