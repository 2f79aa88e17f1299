"""Lightning, Hugging Face's Trainer and Accelerate train as before with a watch, which sees the batches of the training."""

import re
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from freeness.errors import InputError
from freeness.torch import Watch


def data():
    torch.manual_seed(0)
    x = torch.randn(48, 6)
    return TensorDataset(x, (x[:, 0] > 0).long())


def lightning_module(pl):
    class Module(pl.LightningModule):
        def __init__(self):
            super().__init__()
            torch.manual_seed(1)
            self.net = nn.Sequential(nn.Linear(6, 12), nn.Dropout(0.1), nn.ReLU(), nn.Linear(12, 2))

        def forward(self, x):
            return self.net(x)

        def training_step(self, batch, _):
            return functional.cross_entropy(self(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters(), lr=1e-2)

    return Module()


@pytest.mark.slow
@pytest.mark.always
def test_lightning_trains_the_same_with_the_callback(tmp_path):
    pl = pytest.importorskip("lightning.pytorch")
    from freeness.torch import WatchCallback

    def run(callbacks):
        module = lightning_module(pl)
        quiet = {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Lightning's advice about workers of loaders
            trainer = pl.Trainer(
                accelerator="cpu", max_epochs=2, logger=False, callbacks=callbacks, default_root_dir=tmp_path, **quiet
            )
            torch.manual_seed(2)
            trainer.fit(module, DataLoader(data(), 16))
        return module

    plain, callback = run([]), WatchCallback(every=2)
    seen = run([callback])
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), seen.parameters(), strict=True))
    assert [record.step for record in callback.watch.records] == [1, 3, 5]
    assert not any(record.missing for record in callback.watch.records)
    assert callback.watch.records[0].critical > 0


@pytest.mark.slow
@pytest.mark.always
def test_the_trainer_of_hugging_face_trains_the_same_with_the_callback(tmp_path):
    pytest.importorskip("accelerate")
    transformers = pytest.importorskip("transformers")
    from freeness.torch import WatchTrainerCallback

    torch.manual_seed(0)
    tokens = torch.randint(11, (24, 8))
    rows = [{"input_ids": row, "labels": row} for row in tokens]

    def run(callbacks):
        torch.manual_seed(1)
        config = transformers.GPT2Config(
            vocab_size=11, n_positions=8, n_embd=16, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0
        )
        model = transformers.GPT2LMHeadModel(config)
        arguments = transformers.TrainingArguments(
            output_dir=str(tmp_path),
            per_device_train_batch_size=8,
            max_steps=5,
            report_to=[],
            use_cpu=True,
            disable_tqdm=True,
            save_strategy="no",
            logging_strategy="no",
            dataloader_pin_memory=False,
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the libraries' own
            transformers.Trainer(model=model, args=arguments, train_dataset=rows, callbacks=callbacks).train()
        return model

    plain, callback = run([]), WatchTrainerCallback(every=2)
    seen = run([callback])
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), seen.parameters(), strict=True))
    assert [record.step for record in callback.watch.records] == [1, 3, 5]
    assert not any(record.missing for record in callback.watch.records)
    assert not seen._forward_pre_hooks and not seen._forward_hooks
    assert len(callback.watch._lookout._checks) == 5 and all(one.loss for one in callback.watch._lookout._checks)


def test_an_optimiser_that_accelerate_wraps_is_watched():
    accelerate = pytest.importorskip("accelerate")
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2))
    accelerator = accelerate.Accelerator(cpu=True)
    loader = DataLoader(data(), 16)
    model, optimizer, loader = accelerator.prepare(model, torch.optim.SGD(model.parameters(), lr=0.1), loader)
    watch = Watch(accelerator.unwrap_model(model), optimizer, every=2)
    for x, y in loader:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(x), y)
        accelerator.backward(loss)
        optimizer.step()
        watch.step((x, y), loss)
    assert [record.step for record in watch.records] == [1, 3]
    assert watch.records[-1].critical > 0.1


@pytest.mark.slow
@pytest.mark.always
@pytest.mark.parametrize(("place", "packages"), [(0, ["lightning"]), (1, ["transformers", "accelerate"])])
def test_the_tutorial_does_what_it_says(place, packages, tmp_path, monkeypatch):
    for package in packages:
        pytest.importorskip(package)
    page = Path(__file__).resolve().parents[2] / "docs" / "tutorials" / "watch.md"
    code = re.findall(r"```py\n(.*?)```", page.read_text("utf-8"), re.S)[place]
    monkeypatch.chdir(tmp_path)
    told = {"__name__": "__main__"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries' own
        exec(code, told)
    assert [record.step for record in told["records"]] == [1, 3]
    assert not any(record.missing for record in told["records"])


def test_a_framework_that_is_missing_is_named(monkeypatch):
    import sys

    import freeness.torch

    monkeypatch.setitem(sys.modules, "lightning", None)
    monkeypatch.setitem(sys.modules, "lightning.pytorch", None)
    monkeypatch.delitem(sys.modules, "freeness.torch.watching.watch_lightning", raising=False)
    with pytest.raises(InputError, match="pip install lightning"):
        _ = freeness.torch.WatchCallback
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = freeness.torch.Nothing
