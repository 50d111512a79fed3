"""From clips to a model folder: what a run reads, how it goes on after it was cut off, and what is refused."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch")

import export  # noqa: E402
import train  # noqa: E402
from conftest import cached  # noqa: E402
from aumd_training import metrics, probe  # noqa: E402
from aumd_training.commands import InputError  # noqa: E402
from aumd_training.corpus import STAMP, TeacherCache, read_corpus, stamp  # noqa: E402
from aumd_training.data import Mixtures  # noqa: E402
from aumd_training.inference import load_model  # noqa: E402
from aumd_training.modelfolder import load_checkpoint  # noqa: E402

CARD = "## Data and licence\n\nMy tones.\n\n## Known weaknesses\n\nAll of them.\n"


class Run:
    """A configuration of a small run on a corpus, and the changes a test makes to it."""

    def __init__(self, corpus, folder: Path) -> None:  # noqa: ANN001
        self.folder, self.cache = folder, folder / "cache"
        self.model = {"d_model": 16, "n_layer": 2, "d_state": 4}
        self.train = {
            "corpus": str(corpus.write()), "cache": str(self.cache), "run": str(folder / "run"), "minutes": 5, "columns": 8, "batch": 4,
            "joined": [1, 2], "muon": True, "workers": 0, "save_minutes": 0, "threads": 1,
        }

    def write(self) -> Path:
        (self.folder / "config.json").write_text(json.dumps({"model": self.model, "train": self.train}))
        return self.folder / "config.json"


@pytest.fixture
def run(corpus, tmp_path: Path) -> Run:  # noqa: ANN001
    return Run(corpus, tmp_path)


def test_clips_become_a_model_folder_even_if_training_is_cut_off(run: Run, command, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN001
    assert command("prepare", run.train["corpus"], run.cache) == (0, "")
    whole, steps = train.Trainer.train_step, []

    def cut_off(self: train.Trainer, batch: list) -> dict:
        if len(steps) == 2:
            raise KeyboardInterrupt
        steps.append(1)
        return whole(self, batch)

    monkeypatch.setattr(train.Trainer, "train_step", cut_off)
    with pytest.raises(KeyboardInterrupt):
        command("train", "--config", run.write())
    monkeypatch.setattr(train.Trainer, "train_step", whole)
    path = Path(run.train["run"]) / "checkpoint.pth"
    saved = load_checkpoint(path)
    assert saved["step"] == 2 and saved["labels"] == [("/m/low", "Low"), ("/m/high", "High")]

    config, model = train.read_settings(run.write())
    again = train.Trainer(config, train.ModelConfig(num_classes=2, **model), *read_corpus(Path(config.corpus)))
    again.resume()
    assert (again.step, again.seconds) == (2, saved["seconds"])
    assert all(torch.equal(t, saved["model"][n]) for n, t in again.model.state_dict().items())
    for optimizer, kept in zip(again.optimizers, saved["optimizers"], strict=True):
        own = optimizer.state_dict()["state"]
        assert own.keys() == kept["state"].keys() and own
        for i, moments in own.items():
            assert all(torch.equal(torch.as_tensor(value), torch.as_tensor(kept["state"][i][name])) for name, value in moments.items())

    assert command("train", "--config", run.write(), "--minutes", saved["seconds"] / 60 + 0.01)[0] == 0
    assert load_checkpoint(path)["step"] > 2
    last = json.loads((path.parent / "validation.ndjson").read_text().splitlines()[-1])
    assert 0 < last["provisional"] <= 1 and 0 < last["offline"] <= 1

    (run.folder / "card.md").write_text(CARD)
    options = ["--config", run.write(), "--name", "tones", "--license", "mit", "--card", run.folder / "card.md"]
    assert command("export", run.folder / "model", *options) == (0, "")
    described, network = load_model(run.folder / "model")
    assert described["id2label"] == {"0": "Low", "1": "High"} and described["training"][-1]["steps"] > 2
    assert torch.isfinite(network(torch.zeros(1, 64, 128))).all()
    card = (run.folder / "model/README.md").read_text()
    assert "My tones." in card and "ESC-50 (K. J. Piczak" not in card and "license: mit" in card
    assert command("export", run.folder / "both", *options, "--average", run.folder / "model") == (0, "")

    run.train |= {"run": str(run.folder / "next"), "start": str(run.folder / "model")}
    run.model["n_layer"] = 3
    (Path(run.train["corpus"]) / "labels.csv").write_text("index,mid,display_name\n0,/m/high,High\n")
    assert command("prepare", run.train["corpus"], run.cache)[0] == 0
    config, model = train.read_settings(run.write())
    next_one = train.Trainer(config, train.ModelConfig(num_classes=1, **model), *read_corpus(Path(config.corpus)))
    assert torch.equal(next_one.model.head.weight, network.head.weight[1:])
    with pytest.raises(InputError, match="other sizes or labels"):
        export.mixed({"head.weight": torch.zeros(1, 16)}, run.folder / "model", next_one.labels, 0.3)
    run.train["run"] = str(path.parent)
    status, said = command("export", run.folder / "other", "--config", run.write(), *options[2:])
    assert status == 65 and "trained on other labels" in said


def test_only_the_training_split_is_learned_from(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    teach(run)
    clips, labels = read_corpus(Path(run.train["corpus"]))
    mixtures = Mixtures(run.cache, Path(), clips, labels, 8, [1])
    assert mixtures.train.tolist() == list(range(6)) and [own.tolist() for own in mixtures.by_label] == [[0, 2, 4], [1, 3, 5]]
    cache, given = TeacherCache(run.cache, stamp(clips, labels)), []
    monkeypatch.setattr(probe, "fit", lambda x, truth: given.extend([x, truth]))
    probe.of_training(cache, clips, labels)
    assert torch.allclose(given[0], torch.from_numpy(cache.embeddings[:6].astype(np.float32)).clamp(-5, 5))
    assert given[1].tolist() == [[1, 0], [0, 1]] * 3


def teach(run: Run) -> None:
    cached(Path(run.train["corpus"]), run.cache)


def changed(section: str, name: str, value: object):  # noqa: ANN201
    return lambda run: getattr(run, section).update({name: value})


@pytest.mark.parametrize(("change", "status", "sentence"), [
    (changed("train", "minuts", 3), 78, "unknown key minuts (nearest: minutes)"),
    (changed("train", "minutes", "ten"), 78, 'minutes = "ten", expected float'),
    (changed("train", "minutes", math.nan), 78, "minutes is nan"),
    (changed("train", "minutes", -1), 78, "minutes is -1"),
    (changed("train", "dropout", 1.5), 78, "dropout is 1.5: a share"),
    (changed("train", "columns", 5), 78, "columns is 5"),
    (changed("train", "columns", 8.5), 78, "columns = 8.5, expected int"),
    (changed("train", "joined", [3]), 78, "each number has to divide the batch, 4"),
    (changed("train", "joined", 2), 78, "joined = 2, expected list[int]"),
    (changed("train", "muon", 1), 78, "muon = 1, expected bool"),
    (changed("train", "corpus", "gone"), 66, "gone/manifest.csv: No such file"),
    (changed("train", "cache", "gone"), 65, "gone is no cache"),
    (changed("train", "start", "gone"), 66, "gone: No such file"),
    (changed("model", "num_classes", 3), 78, "num_classes = 3, but labels.csv has 2"),
    (changed("model", "d_state", 32), 78, "N = d_state = 32 cannot be run"),
    (changed("model", "d_model", 20), 78, "E = expand * d_model = 40"),
    (lambda run: run.train.pop("cache"), 78, "lacks the key cache"),
    (lambda run: (Path(run.train["corpus"]) / "teacher/yamnet.tflite").unlink(), 66, "yamnet.tflite is missing"),
    (lambda run: (run.cache / STAMP).write_text("0"), 65, "made of another manifest"),
])
def test_a_run_that_cannot_be_is_refused_in_one_sentence(run: Run, command, change, status: int, sentence: str) -> None:  # noqa: ANN001
    teach(run)
    change(run)
    got, said = command("train", "--config", run.write())
    assert (got, said.count("\n")) == (status, 1) and sentence in said
    assert not Path(run.train["run"]).exists()


def test_a_configuration_that_is_none_is_refused(run: Run, command) -> None:  # noqa: ANN001
    for text, status, sentence in (("{", 78, "is not JSON"), ("[]", 78, "no JSON object"), ("{}", 78, 'the section "train" is missing')):
        run.write().write_text(text)
        got, said = command("train", "--config", run.folder / "config.json")
        assert got == status and sentence in said and said.count("\n") == 1
    assert command("train", "--config", run.folder / "gone.json")[0] == 66
    for minutes in ("0", "-3"):
        got, said = command("train", "--config", run.write(), "--minutes", minutes)
        assert got == 78 and "minutes is" in said


def test_a_run_does_not_go_on_with_other_sizes_or_labels(run: Run, command) -> None:  # noqa: ANN001
    teach(run)
    config, model = train.read_settings(run.write())
    trainer = train.Trainer(config, train.ModelConfig(num_classes=2, **model), *read_corpus(Path(config.corpus)))
    trainer.save()
    for change, sentence in (
        (changed("model", "n_layer", 3), "n_layer 2, here 3"), (changed("train", "muon", False), "muon True, here False"),
    ):
        change(run)
        got, said = command("train", "--config", run.write())
        assert got == 78 and sentence in said and "a run folder of its own" in said
    run.model, run.train["muon"] = model, True
    (Path(config.corpus) / "labels.csv").write_text("index,mid,display_name\n1,/m/low,Low\n0,/m/high,High\n")
    teach(run)
    assert "other labels" in command("train", "--config", run.write())[1]
    checkpoint = Path(run.train["run"]) / "checkpoint.pth"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    got, said = command("train", "--config", run.write())
    assert got == 65 and "not a PyTorch checkpoint" in said


def test_the_warm_up_may_be_none(run: Run) -> None:
    teach(run)
    run.train["warmup_steps"] = 0
    config, model = train.read_settings(run.write())
    trainer = train.Trainer(config, train.ModelConfig(num_classes=2, **model), *read_corpus(Path(config.corpus)))
    assert trainer.rate() == config.learning_rate


def test_validation_on_too_few_clips_is_null(run: Run, recwarn: pytest.WarningsRecorder) -> None:
    path = Path(run.train["corpus"]) / "manifest.csv"
    path.write_text("\n".join(line for line in path.read_text().splitlines() if not line.startswith(("validation4", "validation5"))))
    teach(run)
    config, model = train.read_settings(run.write())
    trainer = train.Trainer(config, train.ModelConfig(num_classes=2, **model), *read_corpus(Path(config.corpus)))
    trainer.run.mkdir()
    trainer.report()
    found = json.loads((trainer.run / "validation.ndjson").read_text(), parse_constant=pytest.fail)
    assert (found["provisional"], found["offline"]) == (None, None)
    assert math.isnan(metrics.macro(np.zeros((2, 1)), np.zeros((2, 1)))[0])
    assert not [w for w in recwarn if w.category is RuntimeWarning]


@pytest.mark.parametrize(("options", "status", "sentence"), [
    (["--license", "mit"], 78, "give --card and --license"), (["--card", "card.md"], 78, "give --card and --license"),
    (["--card", "gone.md", "--license", "mit"], 66, "gone.md: No such file"), (["--probe", "1.5"], 78, "--probe 1.5: a share"),
    (["--card", "half.md", "--license", "mit"], 65, "lacks the sections ## Known weaknesses"), (["--probe", "nan"], 78, "--probe nan"),
])
def test_an_export_that_cannot_be_is_refused(
    run: Run, command, monkeypatch: pytest.MonkeyPatch, options: list[str], status: int, sentence: str  # noqa: ANN001
) -> None:
    teach(run)
    monkeypatch.chdir(run.folder)
    Path("card.md").write_text(CARD)
    Path("half.md").write_text(CARD.split("## Known")[0])
    assert command("export", "model", "--config", run.write(), "--probe", "0")[0] == 66  # no checkpoint yet
    config, model = train.read_settings(run.write())
    train.Trainer(config, train.ModelConfig(num_classes=2, **model), *read_corpus(Path(config.corpus))).save()
    got, said = command("export", "model", "--config", run.write(), *options)
    assert got == status and sentence in said and said.count("\n") == 1
    assert not Path("model").exists()
