"""evosax: its algorithms with their own defaults, populations of 40, all seeds at once."""
# pyright: reportMissingImports=false

import importlib.metadata
import json

import jax
import jax.numpy as jnp
import l2l_tasks
import numpy as np
from evosax.algorithms import (
    CMA_ES,
    PGPE,
    PSO,
    SNES,
    DifferentialEvolution,
    Open_ES,
    SimpleGA,
    xNES,
)

SIZE = 40
ABOUT_A_MEAN = (CMA_ES, SNES, xNES, PGPE, Open_ES)
OF_A_POPULATION = (DifferentialEvolution, PSO, SimpleGA)


def main() -> None:
    jax.config.update("jax_enable_x64", True)
    facts, arrays = l2l_tasks.read()
    rows = []
    for algorithm in ABOUT_A_MEAN + OF_A_POPULATION:
        searched = jax.jit(jax.vmap(searcher(algorithm, facts, arrays), (None, 0, 0, 0)))
        keys = jax.random.split(jax.random.key(0), len(arrays["starts"]))
        for which, name in enumerate(facts["functions"]):
            least = np.asarray(searched(which, keys, arrays["starts"], arrays["optima"]))
            label = f"evosax {algorithm.__name__}, {SIZE}"
            rows.append(l2l_tasks.row(label, name, least, SIZE, facts["target"], facts["budget"]))
    print(json.dumps({"rows": rows, "version": importlib.metadata.version("evosax")}))


def searcher(algorithm, facts, arrays):
    """A whole search as a function of the function's place, a key, a start and an optimum."""
    functions = [l2l_tasks.function(jnp, name, arrays["rotation"]) for name in facts["functions"]]

    def searched(which, key, start, optimum):
        strategy = algorithm(population_size=SIZE, solution=start)
        numbers = strategy.default_params
        loss = jax.vmap(lambda x: jax.lax.switch(which, functions, x - optimum))
        first, placed, rest = jax.random.split(key, 3)
        if algorithm in OF_A_POPULATION:
            drawn = jax.random.normal(placed, (SIZE, len(start)))
            members = start + facts["deviation"] * drawn
            state = strategy.init(first, members, loss(members), numbers)
        else:
            if hasattr(numbers, "std_init"):
                numbers = numbers.replace(std_init=facts["deviation"])
            state = strategy.init(first, start, numbers)

        def step(carry, key):
            state, least = carry
            asked, told = jax.random.split(key)
            points, state = strategy.ask(asked, state, numbers)
            losses = loss(points)
            state, _ = strategy.tell(told, points, losses, state, numbers)
            least = jnp.minimum(least, jnp.nanmin(losses))
            return (state, least), least

        keys = jax.random.split(rest, facts["budget"] // SIZE)
        return jax.lax.scan(step, (state, jnp.inf), keys)[1]

    return searched


if __name__ == "__main__":
    main()
