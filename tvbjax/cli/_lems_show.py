"""`tvbjax lems show`: a model's equations, parameters and structure, for people."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tvbjax import lems


def show(
    model: Annotated[str, typer.Argument(help="A built-in model or the path of a LEMS file.")],
    include: Annotated[
        list[Path] | None,
        typer.Option("-I", "--include", help="A folder in which to look for included files."),
    ] = None,
    component: Annotated[
        str | None, typer.Option("--component", help="Of several components, the one to show.")
    ] = None,
    latex: Annotated[bool, typer.Option("--latex", help="Only the equations, as LaTeX.")] = False,
    source: Annotated[
        bool, typer.Option("--source", help="Only a rate model's equations, as NumPy source.")
    ] = False,
    graph: Annotated[
        bool, typer.Option("--graph", help="Only what depends on what, as a Graphviz graph.")
    ] = False,
    stats: Annotated[
        bool, typer.Option("--stats", help="Only what the optimiser did, in numbers.")
    ] = False,
) -> None:
    """Show a model or a network: parameters, states, equations, and what depends on what.

    Example: tvbjax lems show JansenRit --graph | dot -Tsvg > model.svg
    """
    if latex + source + graph + stats > 1:
        raise ValueError("show: pass at most one of --latex, --source, --graph and --stats.")
    folders = tuple(include or ())
    if lems.is_network(model, component, include=folders):
        if source:
            chosen = "" if component is None else f" --component {component}"
            raise ValueError(
                f"show: a network's source: tvbjax lems convert {model}{chosen} --to python"
            )
        network = lems.load_network(model, component, include=folders)
        if latex:
            print(lems.network_latex(network))
        elif graph:
            print(lems.network_graph(network))
        else:
            _network(network, stats)
        return
    compiled = lems.load(model, component, include=folders)
    if latex:
        print(lems.equations_latex(compiled))
    elif source:
        print(lems.python_source(compiled))
    elif graph:
        print(lems.dependency_dot(compiled))
    elif stats:
        Console().print(_stats(lems.statistics(compiled)))
    else:
        _whole(compiled)


def _network(network: lems.Network, stats: bool) -> None:
    parts = Table("component", "type", "instances", "states", "parameters")
    for row in lems.network_components(network):
        parts.add_row(*(escape(text) for text in row))
    Console().print(parts)
    links = Table("events from", "to", "connections", f"delay ({network.time_unit})")
    for row in lems.network_connections(network):
        links.add_row(*(escape(text) for text in row))
    if links.rows:
        Console().print(links)
    if stats:
        found = Table("what", "number", title="What the compiler made of it", title_justify="left")
        for name, number in lems.network_statistics(network).items():
            found.add_row(name, str(number))
        Console().print(found)
        return
    text = lems.network_equations(network)
    Console(soft_wrap=True).print(text, markup=False, highlight=False)


def _whole(model: lems.Model) -> None:
    console = Console(soft_wrap=True)

    def plain(text: str) -> None:
        console.print(text, markup=False, highlight=False)

    console.print(f"[bold]{model.name}[/bold]")
    plain(model.description)
    if model.name in lems.models():
        plain(lems.citation(model.name))
    Console().print(_parameters(model), _states(model))
    if model.inputs:
        Console().print(_inputs(model))
    console.print("[bold]Equations[/bold]")
    plain(lems.equations_text(model))
    console.print("[bold]What depends on what[/bold]")
    plain(lems.dependency_text(model))


def _parameters(model: lems.Model) -> Table:
    table = Table("parameter", "value", "unit", "domain", "description")
    for row in model.spec.parameters:
        domain = model.domains.get(row.name)
        table.add_row(
            row.name,
            f"{float(model.params[row.name]):g}",
            model.units.get(row.name, ""),
            "" if domain is None else f"{domain[0]:g} to {domain[1]:g}",
            escape(row.description),
        )
    return table


def _states(model: lems.Model) -> Table:
    table = Table("state variable", "unit", "initial range", "bounds", "description")
    for row in model.spec.states:
        table.add_row(
            row.name,
            row.unit,
            f"{row.initial[0]:g} to {row.initial[1]:g}",
            f"{row.bounds[0]:g} to {row.bounds[1]:g}",
            escape(row.description),
        )
    return table


def _inputs(model: lems.Model) -> Table:
    table = Table("input", "unit", "from", "description")
    for row in model.spec.inputs:
        sources = ", ".join(row.sources)
        table.add_row(row.name, row.unit, sources, escape(row.description))
    return table


def _stats(found: lems.Statistics) -> Table:
    table = Table("what", "number", title="Operations in the equations", title_justify="left")
    table.add_row("as written", str(found.written))
    table.add_row("after constant folding", str(found.folded))
    table.add_row("that the time derivatives need", str(found.needed))
    table.add_row("evaluated, in stable forms and shared", str(found.shared), end_section=True)
    table.add_row("common subexpressions shared", str(found.shared_subexpressions))
    table.add_row("stable forms", str(sum(number for _, number in found.stable_forms)))
    for name, number in found.stable_forms:
        table.add_row(f"  {name}", str(number))
    table.add_row("branches guarded for gradients", str(found.guarded_branches))
    split = sum(coupling.terms is not None for coupling in found.couplings)
    table.add_row("separable couplings", f"{split} of {len(found.couplings)}")
    for coupling in found.couplings:
        table.add_row(f"  {coupling.name} (into {coupling.input})", _terms(coupling.terms))
    return table


def _terms(terms: int | None) -> str:
    if terms is None:
        return "per connection"
    return f"{terms} products" if terms else "no sum"
