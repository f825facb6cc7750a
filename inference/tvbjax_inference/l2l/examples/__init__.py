"""Ready optimisees for `tvbjax.l2l`, one subject a module: from a single cell to a whole brain.

    from tvbjax import l2l
    from tvbjax.l2l import examples

    task = examples.control.Control(examples.control.CART_POLE)
    l2l.Study(l2l.Python(task, task.space), l2l.SeparableNes(), key, l2l.Target(-500.0)).run()

Simulators are imported when an optimisee is first evaluated; each says what installs it.
"""

from tvbjax_inference.l2l.examples import (
    ant_colony as ant_colony,
    ant_colony_mesa as ant_colony_mesa,
    cart_pole as cart_pole,
    control as control,
    controllers as controllers,
    from_l2l as from_l2l,
    netlogo as netlogo,
    single_cell as single_cell,
    spiking_reservoir as spiking_reservoir,
    structural_plasticity as structural_plasticity,
    whole_brain as whole_brain,
    whole_brain_tvb as whole_brain_tvb,
)
