"""How `systemd-run` command lines are understood."""

from pathlib import Path

import pytest

from localaws.machines.commands import Question, RefusedError, read_seconds, read_systemd_run


def typed(*words: str) -> Question:
    return Question(
        command=("systemd-run", *words), cwd=Path("/here"), environment={"COLOUR": "red"}
    )


def test_options_end_where_the_command_begins() -> None:
    service, options = read_systemd_run(
        typed("--unit=kennel-1", "-G", "-E", "COLOUR", "--setenv=SIZE=2", "bash", "-c", "x", "-u")
    )

    assert service.name == "kennel-1.service"
    assert service.command == ("bash", "-c", "x", "-u")
    assert service.environment == {"COLOUR": "red", "SIZE": "2"}
    assert service.collect
    assert "--wait" not in options


def test_properties_change_what_happens() -> None:
    service, _ = read_systemd_run(
        typed(
            "-p",
            "RuntimeMaxSec=1h 30min",
            "-p",
            "StandardOutput=append:/x/log",
            "--property=ExecStopPost=shutdown -h now",
            "-pWorkingDirectory=/x",
            "true",
        )
    )

    assert service.runtime_max_seconds == 5400
    assert service.output == Path("/x/log")
    assert service.stop_post == "shutdown -h now"
    assert service.working_directory == Path("/x")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("-p", "Restart=always", "true"), "Restart=always is not imitated"),
        (("-p", "Wrong", "true"), "must be NAME=VALUE"),
        (("--unit=a/b", "true"), "unit's name is 'a/b'"),
        (("--unit=a",), "Command line to execute required"),
    ],
)
def test_what_is_not_imitated_is_refused_by_name(words: tuple[str, ...], reason: str) -> None:
    with pytest.raises(RefusedError, match=reason):
        read_systemd_run(typed(*words))


def test_a_time_span_is_a_number_with_units() -> None:
    assert read_seconds("90") == 90
    assert read_seconds("1h 30min") == 5400
    with pytest.raises(RefusedError, match="is not a time span"):
        read_seconds("soon")
