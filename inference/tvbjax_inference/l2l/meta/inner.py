"""The inner loop: how the params of one task are adapted, and what of that is learned."""

from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.tree_util import keystr, tree_leaves_with_path
from jaxtyping import Array

from tvbjax.arrays import as_floats, is_traced
from tvbjax.kinds import check_count, check_kind
from tvbjax.supports import AbstractSupport, Positive

_ABOVE_ZERO = Positive()

Penalty = Callable[[Any, Any, dict[str, Any]], Array]


class Hyper(eqx.Module):
    """A hyper-parameter of the inner loop that is learned. `value`: where it starts, a number, an
    array, or a tree of them. `support`: the values that it may take.

    Raises `ValueError` where the value is outside of the support.
    """

    value: Any
    support: AbstractSupport = eqx.field(static=True, default=_ABOVE_ZERO)

    def __init__(self, value: Any, support: AbstractSupport = _ABOVE_ZERO):
        check_kind("Hyper: support", support, AbstractSupport, "tvbjax.Positive()")
        self.value, self.support = jax.tree.map(as_floats, value), support
        if not jax.tree.leaves(self.value):
            raise TypeError(f"Hyper: {value!r:.60} has no numbers; give e.g. Hyper(0.1).")
        for path, leaf in tree_leaves_with_path(self.value):
            if is_traced(leaf):
                continue
            bad = np.argwhere(~np.asarray(support.contains(np.asarray(leaf))))
            if len(bad):
                where = f"{keystr(path)}{[int(i) for i in bad[0]] if leaf.ndim else ''}"
                raise ValueError(
                    f"Hyper: the value{where and ' at ' + where} is {leaf[tuple(bad[0])]:g}, "
                    f"which is outside of {support}; start within it, or give another support."
                )

    @property
    def numbers(self) -> Any:
        """The unbounded numbers that belong to the value."""
        return jax.tree.map(self.support.unconstrain, self.value)

    def values(self, numbers: Any) -> Any:
        """The allowed values that belong to unbounded numbers."""
        return jax.tree.map(self.support.constrain, numbers)


class Proximal(eqx.Module):
    """A penalty strength / 2 |params - start|^2, which keeps what is adapted near the start. `by`:
    the hyper-parameter that is its strength. Rajeswaran, Finn, Kakade & Levine (2019), NeurIPS,
    equation 3."""

    by: str = eqx.field(static=True)

    def __call__(self, params: Any, start: Any, hyper: dict[str, Any]) -> Array:
        squares = jax.tree.map(lambda x, y: ((x - y) ** 2).sum(), params, start)
        return 0.5 * hyper[self.by] * sum(jax.tree.leaves(squares))


class Inner(eqx.Module):
    """`steps` steps of a rule of optax: `Inner(lambda h: optax.sgd(h["rate"]), 5, {"rate": 0.1})`.

    `rule`: from hyper-parameters by name to the rule. `hyper`: those that are learned, as `Hyper`,
    or as numbers above zero; none where the start alone is learned. `penalty(params, start, hyper)`
    is added to the inner loss: a prior whose weight is learned, a `Proximal`. `resample`: whether
    every step has noise of its own; by default all steps of an adaptation see the same.

    Adam's square root has no second derivative at 0: of what starts there give it an `eps_root`.
    """

    rule: Callable[[dict[str, Any]], optax.GradientTransformation] = eqx.field(static=True)
    steps: int = eqx.field(static=True)
    hyper: dict[str, Hyper]
    penalty: Penalty | None = eqx.field(static=True)
    resample: bool = eqx.field(static=True)

    def __init__(
        self,
        rule: Callable[[dict[str, Any]], optax.GradientTransformation],
        steps: int,
        hyper: Mapping[str, Any] | None = None,
        *,
        penalty: Penalty | None = None,
        resample: bool = False,
    ):
        check_count("Inner: steps", steps)
        if hyper is not None and not isinstance(hyper, Mapping):
            raise TypeError(f"Inner: hyper is {hyper!r:.60}; give numbers by name.")
        given = {
            name: one if isinstance(one, Hyper) else Hyper(one)
            for name, one in ({} if hyper is None else hyper).items()
        }
        self.rule, self.steps, self.hyper = rule, int(steps), given
        self.penalty, self.resample = penalty, resample
        values = {name: one.value for name, one in given.items()}
        try:
            made = rule(values)
        except KeyError as error:
            raise ValueError(
                f"Inner: the rule asks for the hyper-parameter {error}, and there is "
                f"{', '.join(given) or 'none'}; give it in hyper."
            ) from error
        if not isinstance(made, optax.GradientTransformation):
            raise TypeError(
                f"Inner: rule gives {made!r:.60}; give a function from hyper-parameters to a rule "
                "of optax, e.g. lambda h: optax.sgd(h['rate'])."
            )

    def made(self, hyper: dict[str, Any]) -> optax.GradientTransformationExtraArgs:
        """The rule with these values."""
        return optax.with_extra_args_support(self.rule(hyper))


def each_by(rates: Any) -> optax.GradientTransformation:
    """Steps down the gradient with a rate for every param, a tree like the params: with learned
    rates Meta-SGD. Li, Zhou, Chen & Li (2017), arXiv:1707.09835, equation 1."""

    def update(updates, state, params=None):
        return jax.tree.map(lambda rate, x: -rate * x, rates, updates), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def length(tree: Any) -> Array:
    """The Euclidean length of all numbers of a tree that is not empty."""
    return jnp.sqrt(sum(jnp.sum(x**2) for x in jax.tree.leaves(tree)))
