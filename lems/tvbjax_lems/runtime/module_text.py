"""Functions that a network's Python module may need, as text that is copied into it."""

RUN = '''def run({arguments}, state=None, every=1):
    """Steps in time: times, what is recorded, numbers of events, and the final state.

    Times in {time}; the first row is the start. What is recorded is by path, (row,) or
    (row, instance); of every so many steps one. Events are by path, how many in each step.
    `state`: one to go on from, with the same dt.
    """
{checks}    params = arrays(params)
    state = initial(params, dt, key=key) if state is None else state
    first, begin = observe(state, params, key=key), state["steps"]

    def one(state, _):
        state, recorded, sent = step(state, params, dt, key=key)
        return state, (recorded, sent)

    def row(state, _):
        state, (recorded, sent) = jax.lax.scan(one, state, None, length=every)
        return state, ({{path: value[-1] for path, value in recorded.items()}}, sent)

    rows = steps // every
    final, (rest, sent) = jax.lax.scan(one if every == 1 else row, state, None, length=rows)
    quantities = {{path: jnp.concatenate([first[path][None], rest[path]]) for path in rest}}
    if every > 1:
        sent = {{path: count.reshape(-1, *count.shape[2:]) for path, count in sent.items()}}
    time = ((begin + jnp.arange(rows * every + 1, dtype=jnp.int32)).astype(float) * dt)[::every]
    return time, quantities, sent, final'''

CHECK_STEP = '''def check_step(dt):
    """Refuse a step with which other connections have a delay than here. Raises ValueError."""
    if not {low} <= dt < {high}:
        raise ValueError(
            f"with dt = {{dt}} other connections have a delay than here; "
            "convert the file anew, with that step."
        )'''

CHANGED = '''def changed(path, name, value, params=PARAMETERS):
    """The parameters with one of them changed: one number, or one for each instance."""
    if name not in params.get(path, ()):
        raise KeyError(f"there is no parameter {name!r} of {path!r}")
    return params | {path: params[path] | {name: value}}'''

# Each may call those before it.
HELPERS = {
    "arrays": '''def arrays(params):
    """The parameters as JAX arrays."""
    return jax.tree.map(lambda value: jnp.asarray(value, float), params)''',
    "full": '''def full(value, size):
    """A value as one number per instance."""
    return jnp.broadcast_to(jnp.asarray(value, float), (size,))''',
    "at": '''def at(value, places):
    """A value at some instances, or as it is where they share one number."""
    return value if jnp.ndim(value) == 0 or value.shape[0] == 1 else value[places]''',
    "summed": '''def summed(values, places, size):
    """Sums of the values that have the same place."""
    return jnp.zeros(size, values.dtype).at[places].add(values)''',
    "multiplied": '''def multiplied(values, places, size):
    """Products of the values that have the same place."""
    return jax.ops.segment_prod(values, places, num_segments=size)''',
    "delay_steps": '''def delay_steps(delays, dt):
    """Delays in whole steps."""
    return np.rint(np.asarray(delays) / dt).astype(np.int32)''',
    "ring": '''def ring(dt, size, *delays):
    """Room for the events that were sent in as many steps as the longest delay has, and one."""
    longest = max(int(delay_steps(one, dt).max()) for one in delays)
    return jnp.zeros((longest + 1, size), jnp.int32)''',
    "delayed": '''def delayed(ring, steps, lag, sources):
    """The events that were sent `lag` steps ago, one number per connection."""
    return ring[(steps - lag) % len(ring), sources]''',
    "uniform": '''def uniform(key, component, site, size, turn=0):
    """Random numbers between 0 and 1, always the same for the same key.

    site: the place in the component's equations; turn: which of a step's events acts.
    """
    key = jax.random.fold_in(jax.random.fold_in(key, component), site)
    if not (isinstance(turn, int) and turn == 0):
        key = jax.random.fold_in(key, turn)
    dtype = jnp.zeros(()).dtype
    return jax.random.uniform(key, (size,), dtype, minval=float(jnp.finfo(dtype).tiny))''',
    "markov": '''def markov(occupancy, rates, size, dt):
    """The occupancies of a Markov chain after dt: expm(A dt) p, the rates held."""
    states = len(occupancy)
    matrix = jnp.zeros((size, states, states))
    for start, end, rate in rates:
        rate = jnp.broadcast_to(jnp.asarray(rate, float), (size,))
        matrix = matrix.at[:, end, start].add(rate).at[:, start, start].add(-rate)
    if states == 2:  # in closed form
        forward, reverse = matrix[:, 1, 0], matrix[:, 0, 1]
        total = forward + reverse
        whole = occupancy[0] + occupancy[1]
        steady = whole * forward / jnp.where(total > 0.0, total, 1.0)
        second = steady + (occupancy[1] - steady) * jnp.exp(-total * dt)
        second = jnp.where(total > 0.0, second, occupancy[1])
        return whole - second, second
    after = jnp.einsum(
        "ijk,ik->ij",
        jax.scipy.linalg.expm(matrix * dt),
        jnp.stack(occupancy, axis=1),
        precision="highest",
    )
    return tuple(after[:, k] for k in range(states))''',
}
