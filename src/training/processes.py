"""One run in several processes, as `torchrun` starts them; a process alone is the first of one.

Each process reads the same data and makes the same steps. They share two kinds of work: pictures
that are only looked at (`share`, `gathered`), and the pictures of each batch, whose gradients
torch's DistributedDataParallel adds up (`parallel`). Only the first process speaks and writes.

N = rows in all, F = numbers in a row.
"""

import inspect
import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from contract.strict import ContractError, require

Item = TypeVar("Item")

TORCHRUN = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
"""What torchrun tells each process."""
LOST = ("connection", "broken pipe", "peer", "socket")
"""Words of gloo's and NCCL's errors when another process has gone."""
_alone: ContextVar[bool] = ContextVar("alone", default=False)
_stores: list[Any] = []  # of dist.Store, which torch's stubs lack
"""Where the processes of this run met, while they are joined."""


def count() -> int:
    """How many processes make this run."""
    return dist.get_world_size() if dist.is_initialized() and not _alone.get() else 1


def number() -> int:
    """Which of them this is: 0 is the first."""
    return dist.get_rank() if dist.is_initialized() and not _alone.get() else 0


@contextmanager
def alone() -> Iterator[None]:
    """Let each process do all of the work in the block, as if there were no others."""
    token = _alone.set(True)
    try:
        yield
    finally:
        _alone.reset(token)


@contextmanager
def joined(env: Mapping[str, str]) -> Iterator[None]:
    """Be one of the processes that torchrun started, or the only one, while the block runs.

    Raises:
        ContractError: there are several instances and no torchrun, its environment is not whole,
            or the processes do not reach each other.
    """
    processes = wanted(env)
    if processes == 1:
        yield
        return
    cuda = torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(env["LOCAL_RANK"]))
    choose_interface(env)
    share_cores(env)
    backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
    try:
        store, rank, _ = next(rendezvous("env://"))
        dist.init_process_group(backend, store=store, rank=rank, world_size=processes)
        any_of(False)  # nobody leaves before all have come
    except RuntimeError as error:
        raise ContractError(
            f"the {processes} processes of this run do not reach each other: {str(error)[:200]}. "
            f"MASTER_ADDR is {env['MASTER_ADDR']}, MASTER_PORT is {env['MASTER_PORT']}."
        ) from None
    _stores.append(store)
    try:
        yield
    finally:
        dist.destroy_process_group()
        _stores.clear()


def wanted(env: Mapping[str, str]) -> int:
    """How many processes the environment speaks of.

    Raises:
        ContractError: as in `joined`.
    """
    hosts = json.loads(env.get("SM_HOSTS", "[]"))
    lacking = [name for name in TORCHRUN if name not in env]
    processes = int(env.get("WORLD_SIZE", 1))
    require(
        processes == 1 or not lacking,
        f"WORLD_SIZE is {processes} and {', '.join(lacking)} not set; start several processes "
        "with `python -m torch.distributed.run --nproc-per-node 2 -m training.main ...`.",
    )
    require(
        len(hosts) <= processes,
        f"SM_HOSTS names {len(hosts)} instances; each would train its own copy of the model. Ask "
        'for one instance, or set sagemaker_torch_distributed_enabled to "true", which starts '
        "torchrun on each of them.",
    )
    local = int(env.get("LOCAL_RANK", 0))
    cards = torch.cuda.device_count()
    require(
        processes == 1 or not cards or local < cards,
        f"process {local} of this machine has no GPU of its own; it has {cards}. "
        f"Start {cards} processes on each machine.",
    )
    return processes


def share_cores(env: Mapping[str, str]) -> None:
    """Use this process's part of the machine; torchrun would leave each process one thread."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    torch.set_num_threads(max(1, (cores or 1) // int(env.get("LOCAL_WORLD_SIZE", cores or 1))))


def choose_interface(env: Mapping[str, str]) -> None:
    """Talk over the network card that SageMaker names, where there is one of that name."""
    card = env.get("SM_NETWORK_INTERFACE_NAME")
    if card in {name for _, name in socket.if_nameindex()}:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", str(card))
        os.environ.setdefault("NCCL_SOCKET_IFNAME", str(card))


def parallel(model: nn.Module) -> nn.Module:
    """The model, or what runs it in all processes and averages their gradients."""
    if count() == 1:
        return model
    place = next(model.parameters()).device
    # BatchNorm is frozen, so that buffers need not be exchanged; torch 2.13 renamed the switch.
    names = inspect.signature(DistributedDataParallel).parameters
    switch = "forward_sync_buffers" if "forward_sync_buffers" in names else "broadcast_buffers"
    options: dict[str, Any] = {switch: False}
    if place.type == "cuda":
        options["device_ids"] = [place]
    return DistributedDataParallel(model, **options)


def summing(network: nn.Module, *, last: bool) -> AbstractContextManager[None]:
    """Passes through a network whose gradients the processes exchange only after the last one."""
    if isinstance(network, DistributedDataParallel) and not last:
        context: AbstractContextManager[None] = network.no_sync()
        return context
    return nullcontext()


def share(items: Sequence[Item]) -> Sequence[Item]:
    """This process's part of a batch; all parts in order are the batch.

    The first item stays with the second, the third with the fourth and so on: mixup pairs them.
    """
    pairs = (len(items) + 1) // 2
    first, last = (2 * (pairs * part // count()) for part in (number(), number() + 1))
    return items[first:last]


def dealt(items: Sequence[Item]) -> Sequence[Item]:
    """Every so-many-th item, beginning with this process's own."""
    return items[number() :: count()]


def gathered(parts: Sequence[Tensor], total: int) -> list[Tensor]:
    """What all processes made of the items they were dealt, in the items' order.

    Args:
        parts: float32 of shapes (n, F), one for each item dealt to this process.
        total: how many items there are.

    Returns:
        One tensor for each item.
    """
    if count() == 1:
        return list(parts)
    rows = [len(part) for part in parts]
    width = int(highest(parts[0].shape[1] if parts else 0))
    height = int(highest(max(rows, default=0)))
    places = -(-total // count())
    mine_PNF = torch.zeros(places, height, width)
    sizes_P = torch.zeros(places, dtype=torch.int64)
    for place, part in enumerate(parts):
        mine_PNF[place, : len(part)] = part
        sizes_P[place] = len(part)
    all_PNF = [torch.empty_like(mine_PNF) for _ in range(count())]
    all_P = [torch.empty_like(sizes_P) for _ in range(count())]
    dist.all_gather(all_PNF, mine_PNF)
    dist.all_gather(all_P, sizes_P)
    return [
        all_PNF[item % count()][item // count(), : all_P[item % count()][item // count()]]
        for item in range(total)
    ]


def summed(value: Tensor) -> Tensor:
    """The sum of a tensor over the processes."""
    if count() > 1:
        value = value.clone()
        dist.all_reduce(value)
    return value


def highest(value: float) -> float:
    """The highest of the processes' values."""
    if count() == 1:
        return value
    found = torch.tensor(value, dtype=torch.float64)
    dist.all_reduce(found, dist.ReduceOp.MAX)
    return float(found)


def any_of(flag: bool) -> bool:
    """Whether it is so in any process."""
    return bool(highest(float(flag)))


def told_by_first(content: bytes) -> bytes:
    """What the first process says, in all of them."""
    if count() == 1:
        return content
    size = torch.tensor(len(content))
    dist.broadcast(size, 0)
    data = torch.zeros(int(size), dtype=torch.uint8)
    if number() == 0 and content:
        data = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    dist.broadcast(data, 0)
    return data.numpy().tobytes()


def require_same(what: str, text: str) -> None:
    """Make sure that all processes have the same.

    Raises:
        ContractError: one has another.
    """
    first = told_by_first(text.encode()).decode()
    require(
        not any_of(first != text),
        f"the processes of this run differ in {what}; give each machine the same.",
    )


def is_lost(error: BaseException) -> bool:
    """Whether an error says that another process has gone."""
    return count() > 1 and any(word in str(error).lower() for word in LOST)


def speaks_for_all() -> bool:
    """Whether this is the first process, and none has said why it failed."""
    return number() == 0 and _failures(0) == 0


def first_to_fail() -> bool:
    """Whether no other process of this run has failed before; the first one says why."""
    return _failures(1) == 1


def _failures(more: int) -> int:
    """How many processes have failed, counting so many more."""
    try:
        return int(_stores[0].add("failed", more)) if _stores else more
    except RuntimeError:  # the process that kept the count has gone already
        return 2
