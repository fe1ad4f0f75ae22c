"""Rates over a run, the moving average, and mixing: all by position."""

import pytest
import torch
from torch import nn

from contract.hyperparameters import Hyperparameters
from contract.strict import ContractError
from training.average import Average
from training.mixing import mixed
from training.schedule import rate_factor


def factors(**changes: object) -> list[float]:
    settings = Hyperparameters(epochs=4, **changes)  # type: ignore[arg-type]
    return [rate_factor(step, 5, settings) for step in range(20)]


def test_a_constant_rate_is_constant_after_the_warm_up() -> None:
    assert factors() == [1.0] * 20
    assert factors(warmup_epochs=0.8) == [0.25, 0.5, 0.75] + [1.0] * 17


def test_a_cosine_falls_to_zero_right_after_the_last_step() -> None:
    found = factors(schedule="cosine", warmup_epochs=2)

    assert found[:10] == pytest.approx([(step + 1) / 10 for step in range(10)])
    assert found[10] == 1.0
    assert found[15] == pytest.approx(0.5)
    assert found[19] == pytest.approx(0.0245, abs=1e-4)
    assert rate_factor(20, 5, Hyperparameters(epochs=4, schedule="cosine")) == 0.0


def test_a_run_that_is_all_warm_up_reaches_the_highest_rate_at_its_end() -> None:
    assert factors(schedule="cosine", warmup_epochs=4)[-1] == 1.0


def test_the_average_is_the_weighted_mean_of_all_weights_there_were() -> None:
    model = nn.BatchNorm1d(1)
    average = Average(model, 0.6)
    wanted, wanted_mean = 1.0, 0.0
    for step, value in enumerate((3.0, 5.0, -2.0, 8.0), 1):
        with torch.no_grad():
            model.weight.fill_(value)
            model.running_mean.fill_(value)  # type: ignore[union-attr]

        average.update(model, step)

        decay = min(0.6, (1 + step) / (10 + step))
        wanted = decay * wanted + (1 - decay) * value
        wanted_mean = decay * wanted_mean + (1 - decay) * value
    assert average.values["weight"].item() == pytest.approx(wanted, rel=1e-6)
    assert average.values["running_mean"].item() == pytest.approx(wanted_mean, rel=1e-6)


def test_a_model_has_its_own_weights_again_after_it_was_judged_by_the_average() -> None:
    model = nn.Linear(3, 2)
    average = Average(model, 0.9)
    own = torch.randn(2, 3) * 1e-3
    with torch.no_grad():
        model.weight.copy_(own)
    kept = {name: value.clone() for name, value in average.values.items()}

    with average.in_place(model):
        judged = model.weight.detach().clone()

    assert torch.equal(judged, kept["weight"])
    assert torch.equal(model.weight, own)
    assert all(torch.equal(average.values[name], value) for name, value in kept.items())


def mix(positions: range, epoch: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    inputs = torch.arange(12.0)[positions.start : positions.stop, None].expand(-1, 4)
    labels = torch.arange(12)[positions.start : positions.stop] % 3
    return mixed(inputs, labels, positions, classes=3, alpha=0.4, seed=7, epoch=epoch)


def test_a_mixed_picture_depends_on_its_position_alone() -> None:
    whole, whole_targets = mix(range(12))
    parts = [mix(range(4)), mix(range(4, 10)), mix(range(10, 12))]

    assert torch.equal(torch.cat([part[0] for part in parts]), whole)
    assert torch.equal(torch.cat([part[1] for part in parts]), whole_targets)
    assert not torch.equal(mix(range(12), epoch=2)[0], whole)


def test_labels_are_mixed_as_pictures_are() -> None:
    inputs, targets = mix(range(2))

    share = 1 - inputs[0, 0].item()  # the pictures are 0 and 1, of the classes 0 and 1
    assert inputs[1, 0].item() == pytest.approx(share)
    assert targets[0].tolist() == pytest.approx([share, 1 - share, 0])
    assert targets[1].tolist() == pytest.approx([1 - share, share, 0])


def test_a_last_picture_without_a_neighbour_stays_as_it_is() -> None:
    inputs, targets = mix(range(3))

    assert inputs[2, 0].item() == 2.0
    assert targets[2].tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"method": "head", "stages": 1}, "stages is 1; it is of fine-tuning"),
        ({"method": "head", "mixup": 0.2}, "mixup is 0.2; it is of fine-tuning"),
        ({"method": "head", "batch_norm": "adaptive"}, "or method to finetune"),
        ({"method": "head", "layer_rate_decay": 0.5}, "layer_rate_decay is 0.5"),
        ({"solver": "ridge", "hidden_units": 0}, "solver ridge fits heads"),
        ({"views": 3}, "Set stages above 0 and augmentation to crop"),
        ({"views": 3, "stages": 1, "augmentation": "none"}, "or views to 1"),
        ({"batch_size": 1, "mixup": 0.2}, "Set it to 2 or more"),
        ({"batch_size": 1, "batch_norm": "adaptive"}, "Set it to 2 or more"),
    ],
)
def test_fields_that_make_no_sense_together_are_refused(
    fields: dict[str, object], message: str
) -> None:
    with pytest.raises(ContractError, match=message):
        Hyperparameters(**{"method": "finetune", **fields})  # type: ignore[arg-type]
