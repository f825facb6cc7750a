"""How much signals vary, over time and between regions: one number for a whole brain. JAX.

They need no phases, so that they serve any model, as The Virtual Brain's metrics do.
"""

from jaxtyping import Array, Float

from tvbjax.analysis._signals import Signals, as_signals, size_of


def global_variance(signals: Signals) -> Float[Array, ""]:
    """The mean over regions of their variances over time: how strongly a brain moves."""
    return as_signals("global_variance", signals).var(axis=0).mean()


def variance_of_node_variance(signals: Signals) -> Float[Array, ""]:
    """The variance over regions of their variances over time: how different they are."""
    return as_signals("variance_of_node_variance", signals).var(axis=0).var()


def spatial_deviation(signals: Signals) -> Float[Array, " time"]:
    """How far regions are from their mean, V(t) = mean over regions of |x_i(t) - mean_j x_j(t)|
    (Hellyer et al., Journal of Neuroscience 34:451, 2014). Zero where all regions are equal."""
    return _deviation("spatial_deviation", signals)


def proxy_synchrony(signals: Signals) -> Float[Array, ""]:
    """1 / mean over time of `spatial_deviation`: synchrony without phases (Hellyer et al. 2014).

    Per unit of the signals; infinite where all regions are equal all the time.
    """
    return 1.0 / _deviation("proxy_synchrony", signals).mean()


def proxy_metastability(signals: Signals) -> Float[Array, ""]:
    """Standard deviation over time of `spatial_deviation`: metastability without phases, in the
    unit of the signals (Hellyer et al. 2014)."""
    deviation = _deviation("proxy_metastability", signals)
    size = size_of(deviation)
    return (deviation / size).std() * size[0]


def _deviation(name: str, signals: Signals) -> Float[Array, " time"]:
    values = as_signals(name, signals)
    return abs(values - values.mean(axis=1, keepdims=True)).mean(axis=1)
