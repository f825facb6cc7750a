# pyright: reportMissingImports=false
"""TVB's ZerlautAdaptationSecondOrder with exact derivatives in place of its differences.

TVB differentiates its transfer functions F over steps of 1e-7 kHz; the rounding of rate + 1e-7
alone moves its trajectories by up to 1.4e-9 of their size (model_table.py's simulations, 100 ms).
Its dfun runs here as it is, with all its factors. But where it asks for F beside the present rates
it gets F's Taylor polynomial of second order in long double, of which central differences are
exact. The first derivatives in it are complex steps of TVB's own F; the second ones are central
differences of these, good to about 1e-8, and weigh 1e-10 in dfun.
"""

import numpy as np
from tvb.simulator.models import ZerlautAdaptationSecondOrder

STEP = 1e-7  # kHz, of TVB's differences
WIDE = 1e-6  # kHz, of ours
TINY = 1e-30


class ExactZerlautAdaptationSecondOrder(ZerlautAdaptationSecondOrder):
    _rates = np.empty(0)
    _known: dict = {}  # of the present rates, by the population's array P

    def dfun(self, state_variables, coupling, local_coupling=0.0):
        self._rates = state_variables[:2]
        self._known = {}
        return super().dfun(state_variables, coupling, local_coupling)

    def TF_excitatory(self, fe, fi, fe_ext, fi_ext, W):
        return self._sample(fe, fi, fe_ext, fi_ext, W, self.P_e, self.E_L_e)

    def TF_inhibitory(self, fe, fi, fe_ext, fi_ext, W):
        return self._sample(fe, fi, fe_ext, fi_ext, W, self.P_i, self.E_L_i)

    def _sample(self, fe, fi, fe_ext, fi_ext, W, P, E_L):
        """F at the rates, or its Taylor polynomial one step beside them."""
        rates = self._rates

        def F(e, i):
            return self.TF(rates[0] + e, rates[1] + i, fe_ext, fi_ext, W, P, E_L)

        if id(P) not in self._known:
            self._known[id(P)] = np.array(taylor(F), np.longdouble)
        e, i = (np.rint((f - rate) / STEP) for f, rate in zip((fe, fi), rates, strict=True))
        assert max(np.abs(e).max(), np.abs(i).max()) <= 1
        e, i = STEP * e.astype(np.longdouble), STEP * i.astype(np.longdouble)
        F, F_e, F_i, F_ee, F_ei, F_ii = self._known[id(P)]
        return F + e * F_e + i * F_i + e**2 * F_ee / 2 + e * i * F_ei + i**2 * F_ii / 2


def taylor(F):
    """F, F_e, F_i, F_ee, F_ei and F_ii at (0, 0)."""

    def F_e(e, i):
        return F(e + 1j * TINY, i + 0j).imag / TINY

    def F_i(e, i):
        return F(e + 0j, i + 1j * TINY).imag / TINY

    second = (F_e(WIDE, 0.0) - F_e(-WIDE, 0.0), F_i(WIDE, 0.0) - F_i(-WIDE, 0.0))
    third = F_i(0.0, WIDE) - F_i(0.0, -WIDE)
    return (
        F(0.0, 0.0),
        F_e(0.0, 0.0),
        F_i(0.0, 0.0),
        *(one / (2 * WIDE) for one in (*second, third)),
    )
