"""A report of one patient: one file of HTML that needs nothing else, to be read and printed.

How far to trust the posterior comes first, and again beside everything that is read off it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass
