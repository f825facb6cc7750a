"""L2L's genetic algorithm on a function, or on an optimizee that fails in a stated way.

`python run_l2l.py FAULT POPULATION GENERATIONS WORKERS`; FAULT is `none` for Rastrigin's function.
Prints seconds and evaluations as JSON. Imports L2LforHPC, of an environment of its own.
"""
# pyright: reportMissingImports=false

import json
import os
import sys
import tempfile
import time
from pathlib import Path

from l2l.optimizers.evolution import GeneticAlgorithmOptimizer, GeneticAlgorithmParameters
from l2l.utils.experiment import Experiment
from l2l_optimizee import Failing


def main():
    fault, population, generations, workers = sys.argv[1], *map(int, sys.argv[2:5])
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        experiment = Experiment(root_dir_path=folder)
        runner = {"srun": "", "exec": sys.executable, "max_workers": workers}
        traj, _ = experiment.prepare_experiment(
            name="bench", trajectory_name="bench", runner_params=runner
        )
        optimizee = Failing(traj, fault)
        parameters = GeneticAlgorithmParameters(
            seed=0,
            pop_size=population,
            cx_prob=0.7,
            mut_prob=0.7,
            n_iteration=generations,
            ind_prob=0.45,
            tourn_size=4,
            mate_par=0.5,
            mut_par=1.0,
        )
        optimizer = GeneticAlgorithmOptimizer(
            traj,
            optimizee_create_individual=optimizee.create_individual,
            optimizee_fitness_weights=(-1.0,),
            parameters=parameters,
            optimizee_bounding_func=optimizee.bounding_func,
        )
        experiment.run_experiment(
            optimizer=optimizer, optimizee=optimizee, optimizer_parameters=parameters
        )
        seconds = time.perf_counter() - begun
        evaluations = sum(len(generation) for generation in traj.individuals.values())
        experiment.end_experiment(optimizer)
    print(json.dumps({"seconds": seconds, "evaluations": evaluations}))


if __name__ == "__main__":
    main()
