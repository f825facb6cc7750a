"""What `model_cases.py` runs, an entry for each model: see ModelCase for the meaning of the keys.

`coupled` and `other`: the coupling function, its gains, and parameters that the model needs to
listen. Ranges are those in which the model stays finite: TVB's own where they do.
"""

LINEAR = ("Linear", {"a": 0.0042})
PICOAMPERE = {"W_e": 1e-3, "W_i": 1e-3, "a_i": 1e-3, "b_i": 1e-3, "b_e": 1e-3}  # TVB has pA, nS

ROUNDING = "TVB's coefficients are off by up to 6e-15, which 100 ms amplify to 8e-10"

MODELS: tuple[dict, ...] = (
    dict(
        model="Generic2dOscillator",
        ranges={"V": (-2.0, 4.0), "W": (-6.0, 6.0)},
        coupled=LINEAR,
        other=("HyperbolicTangent", {"a": 0.01, "b": 0.5, "midpoint": 0.3, "sigma": 2.0}),
        regional=("I", -0.5, 0.5),
    ),
    dict(
        model="MontbrioPazoRoxin",
        ranges={"r": (0.0, 1.0), "V": (-2.0, 1.5)},
        dt=0.02,
        coupled=("Linear", {"a": 0.0042}, {"cv": 0.3}),
        other=("Sigmoidal", {"cmin": -0.5, "cmax": 1.5, "midpoint": 10.0, "a": 2.0, "sigma": 50.0}),
        regional=("eta", -6.0, -4.0),
    ),
    dict(
        model="JansenRit",
        ranges={
            "y0": (-0.05, 0.15), "y1": (0.0, 25.0), "y2": (0.0, 15.0),
            "y3": (-1.0, 1.0), "y4": (-5.0, 5.0), "y5": (-5.0, 5.0),
        },
        coupled=("SigmoidalJansenRit", {"a": 1.0}),
        other=("Linear", {"a": 0.00042}),
        regional=("mu", 0.12, 0.32),
    ),
    dict(
        model="Kuramoto",
        ranges={"theta": (0.0, 6.283185307179586)},
        coupled=("Kuramoto", {"a": 0.01}),
        other=("Difference", {"a": 0.01}),
        regional=("omega", 0.01, 0.1),
    ),
    # epilepsy, oscillators, ions
    dict(
        model="Epileptor",
        ranges={
            "x1": (-2.0, 1.0), "y1": (-20.0, 2.0), "z": (2.0, 5.0),
            "x2": (-2.0, 0.0), "y2": (0.0, 2.0), "g": (-1.0, 1.0),
        },
        dt=0.05,
        parameters={"Kf": 0.0, "Ks": 0.0},
        coupled=("Linear", {"a": 0.0042}, {"Kvf": 0.5, "Kf": 0.2, "Ks": -0.3}),
        other=("Difference", {"a": 0.01}, {"Kf": 0.1, "Ks": -0.2, "modification": 1.0}),
        regional=("x0", -2.4, -1.6),
        seed=2,  # of 1, 2 and 3 the past from which rounding grows least
    ),
    dict(
        model="Epileptor2D",
        ranges={"x1": (-2.0, 1.0), "z": (2.0, 5.0)},
        parameters={"Ks": 0.0},
        coupled=("Linear", {"a": 0.0042}, {"Kvf": 0.5, "Ks": -0.3}),
        other=("Difference", {"a": 0.01}, {"Ks": -0.2, "modification": 1.0}),
        regional=("x0", -2.4, -1.6),
    ),
    dict(
        model="EpileptorRestingState",
        ranges={
            "x1": (-1.8, -1.4), "y1": (-15.0, -10.0), "z": (3.6, 4.0), "x2": (-1.1, -0.9),
            "y2": (0.001, 0.01), "g": (-1.0, 1.0), "x_rs": (-2.0, 4.0), "y_rs": (-6.0, 6.0),
        },
        dt=0.05,
        parameters={"Kf": 0.0, "Ks": 0.0},
        coupled=("Linear", {"a": 0.0042}, {"Kvf": 0.5, "Kf": 0.2, "Ks": -0.3}),
        other=("Difference", {"a": 0.01}, {"K_rs": 2.0}),
        regional=("gamma_rs", 0.5, 1.0),
    ),
    dict(
        model="EpileptorCodim3",
        ranges={"x": (0.4, 0.6), "y": (-0.1, 0.1), "z": (0.0, 0.15)},
        parameters={"Ks": 0.1},
        coupled=LINEAR,
        other=("Difference", {"a": 0.01}, {"N": 2, "modification": 0.0}),
        regional=("dstar", 0.1, 0.4),
    ),
    dict(
        model="EpileptorCodim3SlowMod",
        ranges={
            "x": (0.4, 0.6), "y": (-0.1, 0.1), "z": (0.0, 0.1), "uA": (0.0, 1.0), "uB": (0.0, 1.0),
        },
        parameters={"Ks": 0.1},
        coupled=LINEAR,
        other=("Difference", {"a": 0.01}, {"N": 3, "modification": 0.0}),
        regional=("R", 0.2, 0.6),
    ),
    dict(
        model="Hopfield",
        ranges={"x": (-1.0, 2.0), "theta": (0.0, 1.0)},
        coupled=LINEAR,
        other=("HyperbolicTangent", {"a": 0.01, "midpoint": 0.5, "sigma": 0.1}),
        regional=("taux", 0.5, 4.0),
    ),
    dict(
        model="SupHopf",
        ranges={"x": (0.0, 1.0), "y": (-1.0, 1.0)},
        coupled=LINEAR,
        other=("Difference", {"a": 0.01}, {"a": 0.5}),
        regional=("a", -0.5, 0.5),
    ),
    dict(
        model="Linear",
        ranges={"x": (-1.0, 1.0)},
        coupled=LINEAR,
        other=("Difference", {"a": 0.01}),
        regional=("gamma", -10.0, -1.0),
    ),
    dict(
        model="LarterBreakspear",
        ranges={"V": (-0.5, 0.3), "W": (0.0, 0.7), "Z": (0.0, 0.2)},
        coupled=LINEAR,
        other=("HyperbolicTangent", {"a": 0.01, "midpoint": 0.1, "sigma": 0.65}),
        regional=("d_V", 0.5, 0.7),
        seed=6,  # of 1 to 6 the past from which rounding grows least
    ),
    dict(
        model="KIonEx",
        ranges={
            "x": (0.0, 1.0), "V": (-90.0, 10.0), "n": (0.0, 1.0),
            "DKi": (-1.0, 0.0), "Kg": (-1.0, 1.0),
        },
        dt=0.02,
        coupled=LINEAR,
        other=("HyperbolicTangent", {"a": 0.01, "midpoint": 10.0, "sigma": 5.0}),
        regional=("K_bath", 5.5, 15.0),
    ),
    dict(
        model="ReducedWongWang",
        ranges={"S": (0.0, 1.0)},
        coupled=LINEAR,
        other=("Sigmoidal", {"cmin": 0.0, "cmax": 0.5, "midpoint": 10.0, "a": 2.0, "sigma": 50.0}),
        regional=("I_o", 0.3, 0.35),
    ),
    dict(
        model="ReducedWongWangExcInh",
        ranges={"S_e": (0.0, 1.0), "S_i": (0.0, 1.0)},
        # Rates in 1/ms, times in ms: the factor of 1000 that TVB has in its gammas goes.
        parameters={
            "a_e": 300.0, "b_e": 120.0, "d_e": 0.15, "gamma_e": 0.0006,
            "a_i": 600.0, "b_i": 170.0, "d_i": 0.09, "gamma_i": 0.0011,
        },
        units={
            "a_e": 1e-3, "b_e": 1e-3, "d_e": 1e3, "gamma_e": 1e3,
            "a_i": 1e-3, "b_i": 1e-3, "d_i": 1e3, "gamma_i": 1e3,
        },
        coupled=("Linear", {"a": 0.0042}, {"lamda": 0.2}),
        other=("Sigmoidal", {"cmin": 0.0, "cmax": 0.5, "midpoint": 10.0, "a": 2.0, "sigma": 50.0}),
        regional=("J_i", 0.8, 1.6),
    ),
    dict(
        model="DecoBalancedExcInh",
        ranges={"S_e": (0.0, 1.0), "S_i": (0.0, 1.0)},
        coupled=("Linear", {"a": 0.0042}, {"lamda": 0.2}),
        other=("Scaling", {"a": 0.002}),
        regional=("M_i", 1.0, 3.0),
    ),
    # mean fields of spiking neurons
    dict(
        model="CoombesByrne",
        ranges={"r": (0.3, 2.0), "V": (-2.0, 2.0), "g": (1.0, 2.0), "q": (-0.5, 0.7)},
        dt=0.02,
        coupled=LINEAR,
        other=("Sigmoidal", {"cmin": -0.5, "cmax": 1.5, "midpoint": 10.0, "a": 2.0, "sigma": 50.0}),
        regional=("eta", 15.0, 20.0),
    ),
    dict(
        model="CoombesByrne2D",
        ranges={"r": (0.0, 2.0), "V": (-2.0, 1.5)},
        dt=0.02,
        coupled=LINEAR,
        other=("Difference", {"a": 0.01}),
        regional=("eta", 1.0, 3.0),
    ),
    dict(
        model="GastSchmidtKnosche_SD",
        ranges={"r": (0.1, 1.5), "V": (-2.0, 0.3), "A": (0.0, 0.4), "B": (-0.2, 0.3)},
        dt=0.02,
        coupled=("Linear", {"a": 0.0042}, {"cv": 0.3}),
        other=("HyperbolicTangent", {"a": 0.01, "b": 0.5, "midpoint": 0.3, "sigma": 2.0}),
        regional=("eta", -7.0, -5.0),
    ),
    dict(
        model="GastSchmidtKnosche_SF",
        ranges={"r": (0.0, 2.0), "V": (-2.0, 1.5), "A": (-1.0, 1.0), "B": (-1.0, 1.0)},
        dt=0.02,
        coupled=("Linear", {"a": 0.0042}, {"cv": 0.3}),
        other=("Scaling", {"a": 0.01}, {"cv": 0.5}),
        regional=("alpha", 5.0, 12.0),
    ),
    dict(
        model="DumontGutkin",
        ranges={
            "r_e": (0.0, 2.0), "V_e": (-2.0, 1.5), "s_ee": (-1.0, 1.0), "s_ei": (-1.0, 1.0),
            "r_i": (0.0, 2.0), "V_i": (-2.0, 1.5), "s_ie": (-1.0, 1.0), "s_ii": (-1.0, 1.0),
        },
        dt=0.05,
        parameters={"J_ee": 5.0, "J_ie": 8.0, "eta_e": 1.0},
        coupled=LINEAR,
        other=("Sigmoidal", {"cmin": 0.0, "cmax": 1.5, "midpoint": 10.0, "a": 2.0, "sigma": 50.0}),
        regional=("Gamma", 0.0, 6.0),
    ),
    dict(
        model="ZerlautAdaptationFirstOrder",
        ranges={
            "E": (0.001, 0.1), "I": (0.001, 0.1), "W_e": (0.0, 200.0), "W_i": (0.0, 10.0),
            "ou_drift": (-0.0003, 0.0003),
        },
        units=PICOAMPERE,
        parameters={"a_i": 1.0, "b_i": 5.0, "tau_w_i": 100.0, "external_input_ex_in": 0.0002},
        coupled=("Linear", {"a": 0.0042}, {"K_ext_i": 20.0}),
        other=("Difference", {"a": 0.005}, {"K_ext_i": 20.0, "external_input_ex_ex": 0.002}),
        regional=("b_e", 0.0, 60.0),
    ),
    dict(
        model="ZerlautAdaptationSecondOrder",
        ranges={
            "E": (0.001, 0.1), "I": (0.001, 0.1),
            "C_ee": (0.0, 0.0005), "C_ei": (-0.0005, 0.0005), "C_ii": (0.0, 0.0005),
            "W_e": (0.0, 200.0), "W_i": (0.0, 10.0), "ou_drift": (-0.0003, 0.0003),
        },
        units=PICOAMPERE,
        parameters={
            "a_i": 1.0, "b_i": 5.0, "tau_w_i": 100.0, "external_input_in_in": 0.0002,
            "external_input_ex_ex": 0.003, "external_input_in_ex": 0.003,
        },
        ours={"unit_of_derivative": 0.001, "trace_in_C_ei": 1.0},
        coupled=("Linear", {"a": 0.0042}, {"K_ext_i": 20.0, "S_i": 0.8}),
        other=("Difference", {"a": 0.005}, {"K_ext_i": 20.0, "external_input_ex_ex": 0.002}),
        regional=("b_e", 0.0, 60.0),
    ),
    # columns, firing rates, reduced sets
    dict(
        model="ZetterbergJansen",
        ranges={
            "v1": (0.0, 10.0), "y1": (-1.0, 1.0), "v2": (0.0, 20.0), "y2": (-1.0, 1.0),
            "v3": (0.0, 10.0), "y3": (-1.0, 1.0), "v4": (0.0, 10.0), "y4": (-1.0, 1.0),
            "v5": (0.0, 10.0), "y5": (-1.0, 1.0), "v6": (-5.0, 10.0), "v7": (-5.0, 10.0),
        },
        ours={"ke_in_v5": 1.0},
        coupled=("Linear", {"a": 0.0042}, {"gamma_1T": 2.0}),
        other=("HyperbolicTangent", {"a": 0.05, "b": 0.5, "midpoint": 0.3, "sigma": 2.0}),
        regional=("P", 0.08, 0.16),
    ),
    dict(
        model="WilsonCowan",
        ranges={"E": (0.0, 1.0), "I": (0.0, 1.0)},
        coupled=("Linear", {"a": 0.0042}, {"P": 1.0}),
        other=("Scaling", {"a": 0.01}, {"shift_sigmoid": 0.0}),
        regional=("P", 0.5, 1.5),
    ),
    dict(
        model="ReducedSetFitzHughNagumo",
        ranges={"xi": (-1.0, 1.0), "eta": (-1.0, 1.0), "alpha": (-1.0, 1.0), "beta": (-1.0, 1.0)},
        dt=0.05,
        modes=3,
        ours={"transposed_B": 1.0},
        duration=50.0,
        reason=ROUNDING,
        coupled=LINEAR,
        other=("Difference", {"a": 0.002}),
        regional=("b", 0.5, 0.9),
    ),
    dict(
        model="ReducedSetHindmarshRose",
        ranges={
            "xi": (-1.0, 1.0), "eta": (-5.0, 0.0), "tau": (2.0, 4.0),
            "alpha": (-1.0, 1.0), "beta": (-5.0, 0.0), "gamma": (2.0, 4.0),
        },
        dt=0.05,
        modes=3,
        ours={"transposed_B": 1.0},
        duration=50.0,
        reason=ROUNDING,
        coupled=LINEAR,
        other=("Scaling", {"a": 0.002}),
        regional=("xo", -1.8, -1.4),
    ),
)  # fmt: skip
