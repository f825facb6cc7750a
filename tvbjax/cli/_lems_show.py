"""`tvbjax lems show`: a model's equations, parameters and structure, for people."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tvbjax import lems


def show(
    model: Annotated[str, typer.Argument(help="A built-in model or the path of a LEMS file.")],
    latex: Annotated[bool, typer.Option("--latex", help="Only the equations, as LaTeX.")] = False,
    source: Annotated[
        bool, typer.Option("--source", help="Only the equations, as Python source.")
    ] = False,
) -> None:
    """Show a model: its parameters, state variables and equations.

    Example: tvbjax lems show JansenRit --latex > equations.tex
    """
    compiled = lems.load(model)
    if latex:
        print(lems.equations_latex(compiled))
        return
    if source:
        print(lems.python_source(compiled))
        return
    console = Console()
    console.print(f"[bold]{compiled.name}[/bold]", compiled.description, sep="\n", highlight=False)
    console.print(_parameters(compiled), _states(compiled))
    console.print(lems.python_source(compiled), markup=False, highlight=False, soft_wrap=True)


def _parameters(model: lems.Model) -> Table:
    table = Table("parameter", "value", "unit", "domain", "description")
    for row in model.spec.parameters:
        domain = model.domains.get(row.name)
        table.add_row(
            row.name,
            f"{float(model.params[row.name]):g}",
            model.units.get(row.name, ""),
            "" if domain is None else f"{domain[0]:g} to {domain[1]:g}",
            row.description,
        )
    return table


def _states(model: lems.Model) -> Table:
    table = Table("state variable", "unit", "initial range", "bounds")
    for name, initial, bounds in zip(
        model.state_variables, model.initial_range, model.bounds, strict=True
    ):
        table.add_row(
            name,
            model.units.get(name, ""),
            f"{initial[0]:g} to {initial[1]:g}",
            f"{bounds[0]:g} to {bounds[1]:g}",
        )
    return table
