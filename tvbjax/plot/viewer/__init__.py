"""The interactive brain: a page of HTML that holds all it needs. Needs no matplotlib."""

from tvbjax.plot.viewer._page import Brain as Brain, brain as brain
