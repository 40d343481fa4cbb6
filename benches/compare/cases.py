"""What is compared.

A case is a dictionary that both workers read: `work` says what they do, `network` has the names of
the Rust side's `UVitConfig`. `forms` are the forms in which peers run it: the precision in which
PyTorch does, or `openvino-` and the precision in which OpenVINO does. The first is the one that this
project computes in; the fastest of the same precision is what we are measured against.
"""

from machine import computes_bfloat16

# Outputs differ by the order of sums alone.
EXACT = 1e-4
# AdamW divides each gradient by its own size, so that rounding shows where it is nearly zero.
UPDATE = 5e-4
# Both sides round to 8 bits, each in its own places.
HALF = 5e-2
# Mixed precision rounds to 8 bits; its losses show that it does the same work.
MIXED = 2e-2

# Before the precision, in the forms that OpenVINO runs.
OPENVINO = "openvino-"

U_VIT_S = {
    "image_size": 32,
    "patch_size": 2,
    "channels": 3,
    "width": 512,
    "depth": 12,
    "heads": 8,
}

# The network and the optimizer of experiments/presets/fashion_mnist.toml.
BUNDLED = {
    "image_size": 32,
    "patch_size": 4,
    "channels": 1,
    "width": 128,
    "depth": 12,
    "heads": 4,
    "classes": 11,
}

ADAM_W = {"learning_rate": 2e-4, "betas": [0.9, 0.99], "epsilon": 1e-8, "weight_decay": 0.03}


def cases(device: str = "flex", quick: bool = False) -> list[dict]:
    """All cases of a device; `quick` ones have tiny sizes, which show that everything works and
    nothing else."""
    chosen = cpu_cases(quick) if device == "flex" else gpu_cases(quick)
    return [case | {"device": device} for case in chosen]


def gpu_cases(quick: bool) -> list[dict]:
    """Throughput in mixed precision, which is what GPUs are made for."""
    small = tiny(U_VIT_S) if quick else U_VIT_S
    name = "tiny network" if quick else "U-ViT-S/2"
    half = {"precision": "bf16", "forms": ["bfloat16"], "tolerance": HALF}
    return [
        case("matrix_product", "matrix product", batch=1, size=256 if quick else 8192, **half),
        *(
            case(
                "noise_prediction",
                f"{name}, noise prediction in bfloat16",
                network=small,
                batch=batch,
                repeats=1 if quick else 10,
                **half,
            )
            for batch in ([2, 3] if quick else [64, 256])
        ),
        case(
            "early_exit",
            f"{name}, early exit at the same mean depth",
            network=small,
            batch=16 if quick else 64,
        ),
    ]


def cpu_cases(quick: bool) -> list[dict]:
    small = tiny(U_VIT_S) if quick else U_VIT_S
    bundled = tiny(BUNDLED) if quick else BUNDLED
    name = "tiny network" if quick else "U-ViT-S/2"
    batches = [1, 2, 3] if quick else [1, 8, 32]
    # Where bfloat16 has no instructions of its own, it is emulated, ten times as slow.
    half = ["bfloat16"] if computes_bfloat16() else []
    return [
        *(
            case("multiply_adds", "multiply-adds on registers", batch=1, forms=[], form=form)
            | {"precision": {"float32": "f32", "bfloat16": "bf16"}[form]}
            for form in ["float32", *half]
        ),
        *(
            case(
                "noise_prediction",
                f"{name}, noise prediction",
                network=small,
                batch=batch,
                repeats=max(1, 8 // batch),
                forms=["float32", f"{OPENVINO}float32"],
            )
            for batch in batches
        ),
        *(
            case(
                "noise_prediction_bfloat16",
                f"{name}, noise prediction in bfloat16",
                work="noise_prediction",
                network=small,
                batch=batch,
                repeats=max(1, 8 // batch),
                precision="bf16",
                forms=[form, OPENVINO + form],
                tolerance=HALF,
            )
            for form in half
            for batch in batches
        ),
        *training_cases(f"{name}, training step", small, "training_step", batches[1], half),
        *training_cases(
            "bundled network, training step",
            bundled,
            "bundled_training_step",
            4 if quick else 128,
            half,
        ),
        case(
            "fid_features",
            "FID's network, images of 32x32",
            batch=2 if quick else 32,
        ),
        case(
            "decoding",
            "Stable Diffusion's decoder, an image of {0}x{0}".format(64 if quick else 256),
            batch=1,
            image_size=64 if quick else 256,
        ),
        case(
            "sampling",
            "bundled network, 20 steps of DPM-Solver++(2M)",
            network={name: value for name, value in bundled.items() if name != "classes"},
            batch=4 if quick else 16,
            steps=20,
            tolerance=1e-3,
        ),
        case(
            "early_exit",
            f"{name}, early exit at the same mean depth",
            network=small,
            batch=16,
        ),
        case(
            "frechet_distance",
            "Fréchet distance",
            batch=1,
            dims=64 if quick else 2048,
            tolerance=1e-6,
        ),
    ]


def training_cases(title: str, network: dict, name: str, batch: int, half: list[str]) -> list[dict]:
    """A training step in float32 and, where the processor computes in it, in mixed precision."""
    step = {"work": "training_step", "network": network, "batch": batch, **ADAM_W}
    mixed = {"precision": "bf16", "tolerance": MIXED, "compared": ["losses"]}
    return [
        case(name, title, **step),
        *(
            case(f"{name}_{form}", f"{title} in {form}", forms=[form], **mixed, **step)
            for form in half
        ),
    ]


def case(name: str, title: str, *, batch: int, work: str = "", repeats: int = 1, **rest) -> dict:
    return {
        "name": name,
        "title": title,
        "work": work or name,
        "batch": batch,
        "repeats": repeats,
        "forms": ["float32"],
        "tolerance": EXACT,
    } | rest


def tiny(network: dict) -> dict:
    return network | {"image_size": 8, "width": 32, "depth": 4, "heads": 2}


def label(case: dict) -> str:
    """What tells a case from the others."""
    suffix = "" if case["forms"] else f"/{case['form']}"
    return f"{case['name']}/{case['batch']}{suffix}"


def precision(form: str) -> str:
    """What a form computes in."""
    return form.removeprefix(OPENVINO)


def engine(form: str) -> str:
    """What runs a form."""
    return "OpenVINO" if form.startswith(OPENVINO) else "PyTorch"


def for_form(case: dict, form: str) -> dict:
    """The case as a peer runs it in one of its forms."""
    formed = case | {"form": form}
    if precision(form) == precision(case["forms"][0]):
        return formed
    if case["work"] == "noise_prediction":
        return formed | {"tolerance": HALF}
    return formed | {"tolerance": MIXED, "compared": ["losses"]}


def tolerance(case: dict, output: str) -> float:
    """How far an output may differ, relative to its size."""
    return UPDATE if output.startswith("update.") else case["tolerance"]
