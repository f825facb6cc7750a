"""`python -m tvbjax`."""

from tvbjax.cli import main

main()
