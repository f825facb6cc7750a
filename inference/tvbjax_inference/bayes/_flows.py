"""A conditional normalizing flow of residuals.

Masked autoregressive layers (Papamakarios, Pavlakou and Murray 2017, arXiv:1705.07057) whose
transformations are affine and then rational quadratic splines (Durkan et al. 2019,
arXiv:1906.04032). The only file that needs flowjax.
"""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float

_KNOTS = 8
_END = 4.0  # beyond so many standard deviations splines are straight lines
_LEAST_SCALE = 1e-2


def needs_flowjax() -> Any:
    """The package, or `ImportError` with what to install."""
    try:
        import flowjax.bijections
        import flowjax.distributions
    except ImportError:
        raise ImportError(
            "amortised inference needs the package flowjax: pip install 'tvbjax[bayes]'."
        ) from None
    return flowjax


@contextmanager
def relaxed() -> Iterator[None]:
    """flowjax and optax mix whole numbers and floats, and ranks."""
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


class Form(NamedTuple):
    """The size of an ensemble: of what makes its arrays' shapes."""

    parameters: int
    context: int
    members: int
    layers: int
    width: int
    features: int | None


class Member(eqx.Module):
    """A flow, and the network that makes features of what it depends on."""

    flow: Any
    network: eqx.nn.MLP | None

    def log_density(self, residuals: Float[Array, " d"], context: Float[Array, " c"]):
        with relaxed():
            return self.flow.log_prob(residuals, self.features(context))

    def sample(
        self, key: Array, context: Float[Array, " c"], draws: int
    ) -> Float[Array, "draws d"]:
        with relaxed():
            return self.flow.sample(key, (draws,), self.features(context))

    def features(self, context: Float[Array, " c"]) -> Float[Array, " f"]:
        return context if self.network is None else self.network(context)


@functools.cache
def _transformer(floats: Any) -> tuple[Any, Any]:
    """What each layer does to a number, and what makes it of a network's outputs: one object each,
    so that flows of the same size share what was compiled. `floats`: the working float type."""
    bijections = needs_flowjax().bijections
    import paramax  # comes with flowjax

    scale = paramax.Parameterize(_scale, jnp.zeros((), floats))
    parts = [
        eqx.tree_at(lambda affine: affine.scale, bijections.Affine(), scale),
        bijections.RationalQuadraticSpline(knots=_KNOTS, interval=_END),
    ]
    transformer = bijections.Chain(parts)
    one = bijections.MaskedAutoregressive(
        jr.key(0), transformer=transformer, dim=1, cond_dim=1, nn_width=1, nn_depth=1
    )
    return transformer, one.transformer_constructor


def untrained(form: Form, key: Array) -> Member:
    """Members along the first axis of their arrays; each flow is the identity."""
    flowjax = needs_flowjax()
    bijections, distributions = flowjax.bijections, flowjax.distributions
    inputs = form.context if form.features is None else form.features
    with relaxed():
        transformer, constructor = _transformer(jnp.result_type(float))

    def layer(key):
        own, other = jr.split(key)
        masked = bijections.MaskedAutoregressive(
            own,
            transformer=transformer,
            dim=form.parameters,
            cond_dim=inputs,
            nn_width=form.width,
            nn_depth=2,
            nn_activation=jax.nn.silu,
        )
        last = masked.masked_autoregressive_mlp.layers[-1]
        still = jax.tree.map(lambda x: 0 * x if eqx.is_inexact_array(x) else x, last)
        masked = eqx.tree_at(lambda m: m.masked_autoregressive_mlp.layers[-1], masked, still)
        masked = eqx.tree_at(lambda m: m.transformer_constructor, masked, constructor)
        order = jr.permutation(other, jnp.arange(form.parameters))
        return bijections.Chain([masked, bijections.Permute(order)])

    def member(key):
        own, other = jr.split(key)
        layers = eqx.filter_vmap(layer)(jr.split(own, form.layers))
        base = distributions.StandardNormal((form.parameters,))
        flow = distributions.Transformed(base, bijections.Invert(bijections.Scan(layers)))
        if form.features is None:
            return Member(flow, None)
        sizes = (form.context, form.features, form.width, 2)
        return Member(flow, eqx.nn.MLP(*sizes, activation=jax.nn.silu, key=other))

    # Of other generators the numbers of each shape take seconds to compile.
    quick = jr.wrap_key_data(jr.bits(key, (4,), jnp.uint32), impl="unsafe_rbg")
    with relaxed():
        return eqx.filter_vmap(member)(jr.split(quick, form.members))


def _scale(number: Array) -> Array:
    """1 at 0, and above the least."""
    shift = np.log(np.expm1(1 - _LEAST_SCALE))
    return jax.nn.softplus(number + shift) + _LEAST_SCALE
