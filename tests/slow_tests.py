"""Which tests are slow: from what each took, those whose feature a quicker test shows as well.

    pytest --durations=0 --durations-min=0.3 > durations.txt
    python tests/slow_tests.py durations.txt

`make test-times` does so with all tests. A test function has so many seconds, in which its quickest
parameters stay; the rest is written to tests/slow_tests.txt, which conftest.py marks. What is
essential stays, however long.
"""

import re
import sys
from collections import defaultdict
from pathlib import Path

SECONDS = 6.0
# One test of what must never break: the first steps of a user, bit-equality, crashes, gradients.
ESSENTIAL = (
    "test_bayes_methods.py::test_tempered_particles_have_the_exact_moments_and_evidence",
    "test_bayes_program.py::test_a_program_is_the_same_in_another_process",
    "test_bayes_sampling.py::test_draws_have_the_exact_mean_and_covariance",
    "test_calibration.py::test_a_right_sampler_passes_and_a_wrong_one_fails",
    "test_cli.py::test_simulate_writes_what_the_library_computes",
    "test_cli.py::test_sweep_writes_a_grid",
    "test_documentation.py::test_the_python_of_a_page_runs[README.md]",
    "test_engine.py::test_chunks_do_not_change_a_bit",
    "test_ensembles.py::test_the_tile_changes_no_bit[float64]",
    "test_gradients.py::test_any_network_has_the_gradient_that_differences_give",
    "test_l2l_bayesian.py::test_branin_is_found_in_forty_evaluations",
    "test_l2l_dask.py::test_workers_killed_in_mid_generation_change_nothing",
    "test_l2l_engines.py::test_results_do_not_depend_on_where_they_come_from",
    "test_l2l_study.py::test_a_killed_driver_loses_nothing",
    "test_notebooks.py::test_a_notebook_runs[01_first_simulation.ipynb]",
    "test_problem.py::test_a_coupling_is_found_again_from_the_same_noise",
    "test_spiking_cosimulation.py::test_every_window_gives_what_exchange_in_every_step_gives[None]",
    "test_spiking_cosimulation.py::test_gradients_from_the_brain_to_the_network_are_those",
    "test_spiking_delivery.py::test_neither_blocks_nor_pieces_of_time_change_a_bit[events]",
    "test_spiking_nest.py::test_weights_and_delays_of_each_connection_are_those_of_nest",
    "test_surface_simulation.py::test_eeg_of_a_surface_is_the_gain_times_the_vertices_mean",
    "test_sweep_store.py::test_a_killed_sweep_goes_on_and_ends_with_the_same_bytes",
    "test_time_blocks.py::test_any_network_in_any_block_follows_the_plain_loop",
    "test_transforms.py::test_jit_gives_what_plain_simulate_gives",
    "test_transforms.py::test_vmap_gives_each_member_what_it_gets_alone",
)
LIST = Path(__file__).with_name("slow_tests.txt")


def main() -> None:
    taken: dict[str, float] = defaultdict(float)
    for line in Path(sys.argv[1]).read_text().splitlines():
        found = re.match(r"\s*([\d.]+)s (?:call|setup|teardown)\s+tests/(.+)$", line)
        if found:
            taken[found[2]] += float(found[1])
    functions: dict[str, list[str]] = defaultdict(list)
    for name in sorted(taken, key=lambda name: taken[name]):
        functions[name.split("[")[0]].append(name)
    slow = sorted(name for names in functions.values() for name in beyond(names, taken))
    LIST.write_text("".join(f"{name}\n" for name in slow))
    whole = sum(taken.values())
    print(f"{len(slow)} slow tests of {sum(taken[name] for name in slow):.0f} s, of {whole:.0f} s")


def beyond(names: list[str], taken: dict[str, float]) -> list[str]:
    """Of one function's tests, the quickest first, those that it has no seconds left for."""
    kept, slow = 0.0, []
    for name in names:
        if name.startswith(ESSENTIAL) or kept + taken[name] <= SECONDS:
            kept += taken[name]
        else:
            slow.append(name)
    return slow


if __name__ == "__main__":
    main()
