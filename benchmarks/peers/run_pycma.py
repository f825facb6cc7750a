"""pycma: CMAEvolutionStrategy with its own defaults but for the population, seed by seed."""
# pyright: reportMissingImports=false

import json

import cma
import l2l_tasks
import numpy as np


def main() -> None:
    facts, arrays = l2l_tasks.read()
    rows = []
    for size in (10, 40):
        for name in facts["functions"]:
            function = l2l_tasks.function(np, name, arrays["rotation"])
            least = [
                searched(function, start, optimum, size, seed, facts)
                for seed, (start, optimum) in enumerate(
                    zip(arrays["starts"], arrays["optima"], strict=True)
                )
            ]
            rows.append(
                l2l_tasks.row(f"pycma, {size}", name, least, size, facts["target"], facts["budget"])
            )
    print(json.dumps({"rows": rows, "version": cma.__version__}))


def searched(function, start, optimum, size, seed, facts) -> list[float]:
    options = {"popsize": size, "seed": seed + 1, "verbose": -9, "ftarget": facts["target"]}
    options["maxfevals"] = facts["budget"]
    search = cma.CMAEvolutionStrategy(start, facts["deviation"], options)
    least = [np.inf]
    while not search.stop():
        points = search.ask()
        losses = [float(function(point - optimum)) for point in points]
        search.tell(points, losses)
        least.append(min(least[-1], *losses))
    return least[1:]


if __name__ == "__main__":
    main()
