"""The rules of the house: which module may import what."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import vae_jax

ROOT = Path(__file__).resolve().parents[1]

# A module imports only what stands on a line above its own; the two of one line do not know each other.
FLOORS = [
    ["vae_jax.models", "vae_jax.fields", "vae_jax.errors"],
    ["vae_jax.files"],
    ["vae_jax.config", "vae_jax.source"],
    ["vae_jax.workdir"],
    ["vae_jax.environment"],
    ["vae_jax.session"],
    ["vae_jax.command"],
    ["vae_jax.data"],
    ["vae_jax.model"],
    ["vae_jax.training"],
    ["vae_jax.measure"],
    ["vae_jax.claims"],
    ["vae_jax.report"],
    ["vae_jax.launch"],
    ["vae_jax.__main__"],
]
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}

DRAWING = "vae_jax.report.figures"

# Where a library may be imported: a module, or a package and all that is inside it.
ONLY_IN = {
    "tensorflow_datasets": ["vae_jax.data"],
    "array_record": ["vae_jax.data"],
    "mlxtend": ["vae_jax.data"],
    "pyarrow": ["vae_jax.data"],
    # What measures are networks of their own; they and runs rename parameters; the environment looks at its settings.
    "flax": [
        "vae_jax.environment",
        "vae_jax.model.convolutions",
        "vae_jax.model.networks",
        "vae_jax.training.runs",
        *(f"vae_jax.measure.{name}" for name in ("recipe", "judges")),
    ],
    # A notebook that loads a run does not import it.
    "optax": ["vae_jax.training.step", "vae_jax.measure.recipe"],
    "safetensors": ["vae_jax.files"],
    "tensorboardX": ["vae_jax.training.chunks"],
    "distributed": ["vae_jax.launch.cluster"],
    "jinja2": ["vae_jax.report.page"],
    "tqdm": ["vae_jax.session"],
    "matplotlib": ["vae_jax.report.figures"],
}


def imports(path: Path) -> list[str]:
    """Dotted names of everything that a file imports, at its top or inside its functions."""
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def room(name: str) -> str:
    """`vae_jax.data` of `vae_jax.data.idx.read`."""
    return ".".join(name.split(".")[:2])


# The registry loads what registers itself in it, when the first Config is checked.
REGISTRY = ("vae_jax.models", "vae_jax.model.objectives")

MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted((ROOT / "vae_jax").rglob("*.py"))
}
IMPORTS = {module: imports(path) for module, path in MODULES.items()}


def test_every_room_has_its_floor():
    assert {room(module) for module in MODULES} - {"vae_jax"} == set(FLOOR_OF)


@pytest.mark.parametrize("module", sorted(set(MODULES) - {"vae_jax"}))
def test_imports_run_one_way(module):
    for name in IMPORTS[module]:
        if name.startswith("vae_jax.") and room(name) != room(module) and (module, name) != REGISTRY:
            assert FLOOR_OF[room(name)] < FLOOR_OF[room(module)], f"{module} imports {name}"


def test_what_the_package_promises_is_documented_and_hides_no_module():
    for name in vae_jax.__all__:
        assert getattr(vae_jax, name).__doc__, name
        assert f"vae_jax.{name}" not in FLOOR_OF


def test_no_module_is_part_of_a_circle_inside_its_room():
    """`data` and `evaluation` are packages: their own modules import one way, too."""
    inside = {
        module: {other for other in MODULES if other != module and room(other) == room(module)
                 for name in names if f"{name}.".startswith(f"{other}.") and MODULES[other].name != "__init__.py"}
        for module, names in IMPORTS.items()
    }  # fmt: skip
    while free := {module for module, needs in inside.items() if not needs & inside.keys()}:
        inside = {module: needs for module, needs in inside.items() if module not in free}
    assert not inside


def test_the_library_knows_nothing_of_its_callers():
    for module, names in IMPORTS.items():
        for name in names:
            assert name.split(".")[0] not in {"scripts", "tests"}, f"{module} imports {name}"
            if room(module) not in ("vae_jax.launch", "vae_jax.command", "vae_jax.data"):
                assert not name.startswith("absl.flags"), f"{module} imports {name}"


@pytest.mark.parametrize("library", sorted(ONLY_IN))
def test_a_library_is_imported_in_its_room_only(library):
    for module, names in IMPORTS.items():
        if library in {name.split(".")[0] for name in names}:
            assert any(f"{module}.".startswith(f"{place}.") for place in ONLY_IN[library]), (
                f"{module} imports {library}"
            )


@pytest.mark.parametrize(
    "module",
    [
        "vae_jax.models",
        "vae_jax.fields",
        "vae_jax.errors",
        "vae_jax.source",
        "vae_jax.config",
        "vae_jax.measure.entry",
        "vae_jax.workdir",
    ],
)
def test_the_ground_floor_needs_the_standard_library_only(module):
    for name in IMPORTS[module]:
        assert name.split(".")[0] in {*sys.stdlib_module_names, "vae_jax"}, f"{module} imports {name}"


def test_a_notebook_that_loads_a_run_imports_neither_optax_nor_evaluation():
    program = """
import sys
import vae_jax.training.runs
found = {"optax", "orbax", "sklearn", "scipy", "matplotlib", "tensorflow_datasets"} & sys.modules.keys()
assert not found, found
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_no_model_is_asked_for_by_name():
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Compare):
                values = [part.value for part in (node.left, *node.comparators) if isinstance(part, ast.Constant)]
                assert not {"ae", "vae"} & {value for value in values if isinstance(value, str)}, module


@pytest.mark.parametrize(
    "module", [f"vae_jax.report.figures.{name}" for name in ("images", "planes", "plots", "style")]
)
def test_what_draws_arrays_neither_computes_nor_touches_the_disk(module):
    libraries = {name.split(".")[0] for name in IMPORTS[module]}
    assert libraries - set(sys.stdlib_module_names) <= {"matplotlib", "numpy", "vae_jax"}
    assert all(name.startswith(DRAWING) for name in IMPORTS[module] if name.startswith("vae_jax"))
    assert not libraries & {"pathlib", "os", "shutil", "tempfile"}
    called = {
        getattr(node.func, "attr", getattr(node.func, "id", ""))
        for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    }
    assert not called & {"open", "imread", "imsave", "save", "load", "loadtxt", "savetxt", "show"}


def test_the_launcher_answers_at_once():
    """Help and version do not wait for JAX, nor what makes Configs for the libraries of data, numbers and figures."""
    program = """
import sys
import vae_jax.config, vae_jax.workdir
from vae_jax.launch import launcher
assert not {"numpy", "jax", "flax", "matplotlib"} & sys.modules.keys(), "on import"
for flag in ("--help", "--version"):
    assert launcher.main(["vae-jax", flag]) == 0
    assert not {"numpy", "jax"} & sys.modules.keys(), flag
for flag in ("--list", "--dry_run"):
    assert launcher.main(["vae-jax", flag, "--workdir=/nowhere"]) == 0
    assert not {"flax", "matplotlib", "sklearn", "tensorflow_datasets"} & sys.modules.keys(), flag
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def test_training_starts_before_the_libraries_of_evaluation_and_figures_are_imported():
    """They take seconds to import."""
    program = """
import sys
from vae_jax.launch import cluster, compilation, launcher, provenance, sweeps
from vae_jax.claims import results
found = {"sklearn", "scipy.stats", "pandas", "matplotlib", "PIL", "jinja2", "mlxtend"} & sys.modules.keys()
assert not found, found
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)


def test_keys_are_made_in_one_place():
    texts = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "vae_jax").rglob("*.py")}
    made = {name for name, text in texts.items() if re.search(r"random\.(PRNG)?[kK]ey\(", text)}
    assert made == {"networks.py"}  # by `make_key`, which names their kind
