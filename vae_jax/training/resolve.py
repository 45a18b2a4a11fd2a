"""A run that is to be trained, resolved once: where it lies, what it is trained on, and what it resumes from."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from vae_jax.config import Config
from vae_jax.data import Dataset
from vae_jax.data.identity import check_fits, check_identity, load_dataset
from vae_jax.model.programs import Program, make_program
from vae_jax.training import checkpoints
from vae_jax.training.checkpoints import Checkpoint
from vae_jax.workdir import DataIdentity, is_trained


class Due(NamedTuple):
    """A run that is to be trained or evaluated, as a launch describes it to whatever process does that."""

    config: Config
    folder: Path  # WORKDIR/runs/NAME
    identity: DataIdentity  # of its data set, as the launch has it


class Chunk(NamedTuple):
    """Runs of one program that a device trains together."""

    runs: Sequence[Due]
    upcoming: Sequence[Config] = ()  # of the next chunk, if it is of another program


class Run(NamedTuple):
    """A run with all that its training needs; what is handed a `Run` asks for none of this again."""

    config: Config
    folder: Path
    dataset: Dataset
    program: Program
    saved: Checkpoint | None  # what it resumes from; None to start from its initial parameters

    @property
    def epoch(self) -> int:
        """Epochs done."""
        return self.saved.epoch if self.saved else 0


def resolve(due: Sequence[Due], data_dir: str | None) -> list[Run]:
    """Resolves the runs of a chunk that are not trained yet.

    Raises:
        UserError: the data set is missing or is not the launch's, or a checkpoint cannot be used.
        ConfigError: as `program_of`.
    """
    first = due[0]
    dataset = load_dataset(first.config, data_dir)
    check_identity(first.config.name, first.identity, dataset)
    program = program_of(first.config, dataset)
    return [
        Run(config, folder, dataset, program, checkpoints.read(folder, config, program))
        for config, folder, _ in due
        if not is_trained(folder)
    ]


def program_of(config: Config, dataset: Dataset) -> Program:
    """Makes the program of a run on a data set.

    Raises:
        ConfigError: the architecture does not take the images, or early stopping has no validation images.
    """
    check_fits(config, dataset)
    images = dataset.train.images
    return make_program(config, images.shape[1:], float(images.mean()) / 255 if config.mean_bias else None)
