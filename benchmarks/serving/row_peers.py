"""Row peers: the same model behind several servers, one core each, in turns."""

from collections import defaultdict
from dataclasses import dataclass, field

from benchmarks.report import markdown
from benchmarks.serving.figures import Figures
from benchmarks.serving.material import SIZES_PX
from benchmarks.serving.rows import SATURATED, Row, Setup, saturate, spread
from benchmarks.serving.running import AbsentError, Running, ask, cores_of, memory_mb, running
from benchmarks.serving.sides import FASTAPI, LITSERVE, TORCHSERVE, first_label, ours
from benchmarks.serving.tools import INSTALL, Told, ask_tool

from contract.strict import ContractError

SIDES = (TORCHSERVE, FASTAPI, LITSERVE, ours("fp32"), ours("bf16"), ours("int8"))
CHECKED_PX = 500


@dataclass(kw_only=True, slots=True)
class Found:
    """What the rounds showed of one side."""

    ping_seconds: list[float] = field(default_factory=list)
    first_seconds: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    busy: dict[int, list[Figures]] = field(default_factory=lambda: defaultdict(list))
    """By the pictures' size, at saturation."""
    alone: dict[int, list[Figures]] = field(default_factory=lambda: defaultdict(list))
    """By the pictures' size, one request at a time."""
    agreement: float = 0.0
    runtime: str = ""
    tools: dict[str, Told | str] = field(default_factory=dict)
    """By the tool's name; why not, where there is nothing."""


def measure(setup: Setup) -> str:
    """Every side in turn, `rounds` times."""
    found = {side.name: Found() for side in SIDES}
    absent: dict[str, str] = {}
    for turn in range(1, setup.rounds + 1):
        for side in SIDES:
            if side.name in absent:
                continue
            try:
                with running(side, setup.material, setup.serving_core) as server:
                    _look(server, found[side.name], setup, first=turn == 1)
            except AbsentError as error:
                absent[side.name] = str(error)
                setup.say(f"{side.name} is absent: {error}")
            else:
                busy = ", ".join(f"{f[-1].rate:.1f}" for f in found[side.name].busy.values())
                setup.say(f"{turn}/{setup.rounds} {side.name}: {busy} requests/s")
    present = {name: value for name, value in found.items() if name not in absent}
    return "\n".join([
        _start_table(present), *(_speed_table(present, px) for px in SIZES_PX),
        _tools_table(present),
        *(f"Absent: {name}: {reason}\n" for name, reason in absent.items()),
    ])  # fmt: skip


def _look(server: Running, found: Found, setup: Setup, *, first: bool) -> None:
    """One turn of one side."""
    found.ping_seconds.append(server.ping_seconds)
    found.first_seconds.append(server.first_seconds)
    found.runtime = str(server.details.get("runtime", ""))
    for px in SIZES_PX:
        found.alone[px].append(saturate(server, setup, px, 1))
        found.busy[px].append(saturate(server, setup, px, SATURATED))
    found.memory_mb.append(memory_mb(server.pid))
    if first:
        found.agreement = _agreement(server, setup)
        found.tools = {tool: _checked(server, setup, tool) for tool in INSTALL}


def _agreement(server: Running, setup: Setup) -> float:
    """The share of validation pictures whose first label is fp32's."""
    material, same = setup.material, 0
    for picture, label in material.validation:
        body, kind = server.side.body(picture)
        status, text = ask(server.port, "POST", server.side.predict, body, {"Content-Type": kind})
        same += status == 200 and first_label(server.side, text, material.classes) == label
    return same / len(material.validation)


def _checked(server: Running, setup: Setup, tool: str) -> Told | str:
    """The saturated rate as a well-known tool sees it."""
    material, side = setup.material, server.side
    body, kind = side.body(material.pictures[CHECKED_PX][0])
    file = material.home / "body"
    file.write_bytes(body)
    try:
        return ask_tool(
            tool, f"http://127.0.0.1:{server.port}{side.predict}", file, kind=kind,
            connections=SATURATED, seconds=setup.short_seconds, core=cores_of()[0],
        )  # fmt: skip
    except ContractError as error:
        setup.say(str(error))
        return str(error)


def _start_table(found: dict[str, Found]) -> str:
    rows = [
        [
            name,
            spread(one.ping_seconds, 2),
            spread(one.first_seconds, 2),
            spread(one.memory_mb, 0),
            f"{one.agreement:.1%}",
            one.runtime,
        ]
        for name, one in found.items()
    ]
    columns = ["side", "start to /ping, s", "start to first prediction, s", "memory, MB",
               "top-1 as fp32", "runtime"]  # fmt: skip
    return markdown(columns, rows)


def _speed_table(found: dict[str, Found], px: int) -> str:
    columns = ["side", f"{px} px: requests/s", "times TorchServe", "p50, ms",
               "TorchServe's p50 / this", "p99, ms", "other than 200"]  # fmt: skip
    base = found.get(TORCHSERVE.name)
    rows = []
    for name, one in found.items():
        rates, p50 = [f.rate for f in one.busy[px]], [f.answered.p50 for f in one.alone[px]]
        faster, sooner = "", ""
        if base is not None:
            before, waited = base.busy[px], base.alone[px]
            faster = spread([r / b.rate for r, b in zip(rates, before, strict=True)])
            sooner = spread([b.answered.p50 / p for p, b in zip(p50, waited, strict=True)])
        bad = sum(f.requests - f.answers for f in (*one.busy[px], *one.alone[px]))
        p99 = spread([f.answered.p99 for f in one.alone[px]])
        rows.append([name, spread(rates), faster, spread(p50), sooner, p99, str(bad)])
    return markdown(columns, rows)


def _tools_table(found: dict[str, Found]) -> str:
    columns = ["side", f"{CHECKED_PX} px, first round: requests/s and p50, ours", *INSTALL]
    rows = []
    for name, one in found.items():
        own = one.busy[CHECKED_PX][0]
        told = (one.tools[tool] for tool in INSTALL)
        cells = [t if isinstance(t, str) else f"{t.rate:.1f}, {t.p50_ms:.1f} ms" for t in told]
        rows.append([name, f"{own.rate:.1f}, {own.answered.p50:.1f} ms", *cells])
    return markdown(columns, rows)


ROW = Row(
    title="Peers: one serving core each, one worker, in turns",
    note="TorchServe with its image_classifier handler and its defaults, logging included; "
    "FastAPI with Pillow, torchvision's transforms and eager torch; LitServe with the same code "
    "behind it; ours in each precision. Sizes are of the longer side, 4:3. Requests/s: closed "
    f"loop, {SATURATED} connections. p50 and p99: one connection. Memory is the sum of PSS of all "
    "processes after the loads. TorchServe's /ping answers before its model is loaded, so compare "
    "first predictions. Top-1 as fp32: the share of validation photos whose first label is that "
    "of our own preprocessing and the network in eager fp32; other servers resize otherwise. "
    "Ratios are taken round by round; figures are medians with their range.",
    measure=measure,
)
