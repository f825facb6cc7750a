"""An optimizee of L2L's that can fail, in a module of its own, which L2L's workers import."""
# pyright: reportMissingImports=false

import os
import signal
import time

import numpy as np
from l2l.optimizees.optimizee import Optimizee

WIDTH = 2
BOUND = 5.12


class Failing(Optimizee):
    """Rastrigin's function, which fails where its first number is above 2."""

    def __init__(self, traj, fault):
        super().__init__(traj)
        self.fault = fault
        self.random = np.random.RandomState(0)

    def create_individual(self):
        return {"x": self.random.uniform(-BOUND, BOUND, WIDTH)}

    def bounding_func(self, individual):
        return {"x": np.clip(individual["x"], -BOUND, BOUND)}

    def simulate(self, traj):
        x = np.asarray(traj.individual.x)
        if x[0] > 2.0 and self.fault != "none":
            return failed(self.fault)
        return (float(10 * WIDTH + np.sum(x**2 - 10 * np.cos(2 * np.pi * x))),)


def failed(fault):
    """Fail in the stated way."""
    if fault == "raises":
        raise ValueError("it broke")
    if fault == "exits with 3":
        os._exit(3)
    if fault == "is killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "hangs":
        time.sleep(3600)
    return (float("nan"),) if fault == "returns NaN" else (1.0, 2.0)
