"""The command line: `tvbjax demo | simulate | sweep | models | lems | epilepsy | l2l | imaging`."""

from tvbjax.cli._main import app as app, main as main
