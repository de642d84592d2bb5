"""A mixture as a PyTorch iterable dataset that resumes at any position, on any number of ranks."""

from collections.abc import Iterator
from typing import Literal

from torch.utils.data import IterableDataset, get_worker_info

from tasks.artifacts import MixtureReceipt, PackedMixture
from tasks.mixture.shards import Row, open_shards
from tasks.text.masks import IGNORED

Tail = Literal["drop", "pad"]


class MixtureStream(IterableDataset[Row]):
    """Yields a mixture's rows in plan order, once, as dicts of the shards' columns.

    Rank r takes positions ``start + r``, ``start + r + world_size``, ... Reading the ranks' rows
    in turn gives the plan's order for any number of ranks, so a run can go on with another number
    than it was stopped with. ``input_ids`` and ``labels`` are int64 arrays of the row's length.

    All ranks yield equally many rows. What is left over when the rows from ``start`` don't divide
    by ``world_size`` is never trained on twice: ``drop`` leaves these rows out (fewer than
    ``world_size``; ``left_over`` says how many), ``pad`` gives them, and gives the ranks without
    a row a copy of the last one in which no token carries loss.

    The state is one integer, the plan position at which all ranks go on. A loader reads ahead of
    its consumer, so after ``k`` rows were trained on by each rank the state is ``state_after(k)``;
    ``state_dict()`` is that of the rows this object has yielded itself. With workers, worker w
    yields batches w, w + workers, ... of the rank, which is the order in which a DataLoader asks;
    for that ``batch_rows`` has to be the loader's ``batch_size``.

    A packed mixture is streamed the same way: its positions are pack numbers.
    """

    def __init__(
        self,
        mixture: MixtureReceipt | PackedMixture,
        rank: int = 0,
        world_size: int = 1,
        start: int = 0,
        *,
        batch_rows: int = 1,
        tail: Tail = "drop",
    ) -> None:
        self._shards = open_shards(mixture)
        if not 0 <= rank < world_size:
            raise ValueError(f"rank must be 0 to {world_size - 1}, not {rank}")
        if not 0 <= start <= len(self._shards):
            raise ValueError(f"start must be 0 to {len(self._shards)}, not {start}")
        self._rank, self._world, self._batch, self._tail = rank, world_size, batch_rows, tail
        # Batches are dealt to workers from the origin on; iteration may begin past it.
        self._origin = self._begin = self._next = start

    @property
    def left_over(self) -> int:
        """Rows at the end that ``drop`` leaves out."""
        rest = (len(self._shards) - self._origin) % self._world
        return rest if self._tail == "drop" else 0

    def __len__(self) -> int:
        """Return the rows each rank yields from the state on."""
        rest = len(self._shards) - self._begin
        return rest // self._world if self._tail == "drop" else -(-rest // self._world)

    def state_dict(self) -> dict[str, int]:
        """Return the position after the rows yielded so far."""
        return {"position": self._next}

    def state_after(self, rows: int) -> dict[str, int]:
        """Return the state when each rank has used ``rows`` rows since the origin."""
        return {"position": min(self._origin + rows * self._world, len(self._shards))}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on at a state, whatever number of ranks it comes from."""
        self._begin = self._next = state["position"]
        if get_worker_info() is None:
            self._origin = self._begin

    def __iter__(self) -> Iterator[Row]:
        """Yield the rank's rows from the state that was given or loaded last."""
        self._next = self._begin
        for step in self._steps():
            row = self._row(self._origin + step * self._world + self._rank)
            self._next = self.state_after(step + 1)["position"]
            yield row

    def _steps(self) -> Iterator[int]:
        info = get_worker_info()
        worker, workers = (info.id, info.num_workers) if info else (0, 1)
        first = (self._begin - self._origin) // self._world
        for step in range(first, first + len(self)):
            if (step // self._batch) % workers == worker:
                yield step

    def _row(self, position: int) -> Row:
        row = self._shards.read_row(min(position, len(self._shards) - 1))
        if position >= len(self._shards):
            row["labels"][:] = IGNORED
        return row
