import os
import pickle

import pytest
import torch

from msrcnn_plugin.checkpoints import CheckpointError, read_checkpoint, write_checkpoint

WEIGHTS = {'backbone.conv1.weight': torch.arange(3.0)}


@pytest.mark.parametrize('key', ['state_dict', 'model', None])
def test_finds_the_weights_where_frameworks_keep_them(tmp_path, key):
    torch.save({key: WEIGHTS, 'iteration': 3} if key else WEIGHTS, tmp_path / 'in.pth')
    weights = read_checkpoint(tmp_path / 'in.pth').weights
    assert list(weights) == ['backbone.conv1.weight']
    assert torch.equal(weights['backbone.conv1.weight'], torch.arange(3.0))


def test_reads_the_format_of_before_torch_1_6(tmp_path):
    torch.save(dict(model=WEIGHTS), tmp_path / 'in.pth', _use_new_zipfile_serialization=False)
    assert set(read_checkpoint(tmp_path / 'in.pth').weights) == set(WEIGHTS)


def test_takes_the_prefix_of_a_parallel_wrapper_off(tmp_path):
    wrapped = {f'module.{name}': value for name, value in WEIGHTS.items()}
    torch.save(dict(model=wrapped), tmp_path / 'in.pth')
    assert set(read_checkpoint(tmp_path / 'in.pth').weights) == set(WEIGHTS)


def test_reads_what_the_modules_say_without_the_prefix_too(tmp_path):
    plain = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1), torch.nn.BatchNorm2d(1))
    wrapped = torch.nn.Module()
    wrapped.module = plain
    for name, model in dict(plain=plain, wrapped=wrapped).items():
        torch.save(dict(state_dict=model.state_dict()), tmp_path / name)
        metadata = read_checkpoint(tmp_path / name).metadata
        assert metadata == plain.state_dict()._metadata
        assert metadata['1'] == dict(version=2)


class Mischief:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize('save', [torch.save, lambda content, path: path.write_bytes(content)])
def test_runs_nothing_that_a_pickle_asks_for(tmp_path, save):
    content = dict(state_dict=WEIGHTS, meta=Mischief(tmp_path / 'made'))
    save(content if save is torch.save else pickle.dumps(content), tmp_path / 'in.pth')
    with pytest.raises(CheckpointError, match=r'in\.pth cannot be read as weights alone'):
        read_checkpoint(tmp_path / 'in.pth')
    assert not (tmp_path / 'made').exists()


@pytest.mark.parametrize(('version', 'told'), [('2.5.1', True), ('2.6.0', False)])
def test_an_older_torch_is_told_of(tmp_path, monkeypatch, version, told):
    torch.save(dict(state_dict=WEIGHTS, meta=Mischief(tmp_path)), tmp_path / 'in.pth')
    monkeypatch.setattr(torch, '__version__', version)
    with pytest.raises(CheckpointError) as raised:
        read_checkpoint(tmp_path / 'in.pth')
    assert (f'This is torch {version}' in str(raised.value)) is told
    assert ('2.6 or newer' in str(raised.value)) is told


@pytest.mark.parametrize('content', [b'', b'a text', b'\x80\x04', bytes(64)])
def test_a_file_that_is_no_checkpoint(tmp_path, content):
    (tmp_path / 'in.pth').write_bytes(content)
    with pytest.raises(CheckpointError, match='cannot be read'):
        read_checkpoint(tmp_path / 'in.pth')


@pytest.mark.parametrize(
    ('content', 'found'),
    [
        ([1, 2], 'holds a list'),
        ({}, 'holds nothing'),
        (dict(epoch=3, lr=0.1), 'holds epoch, lr; expected weights by name'),
        (dict(state_dict=7), 'holds state_dict'),
    ],
)
def test_says_what_it_found_in_place_of_weights(tmp_path, content, found):
    torch.save(content, tmp_path / 'in.pth')
    with pytest.raises(CheckpointError, match=found):
        read_checkpoint(tmp_path / 'in.pth')


def test_a_missing_file_is_the_systems_own_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_checkpoint(tmp_path / 'missing.pth')


def test_writes_what_it_reads(tmp_path):
    meta, metadata = dict(dataset_meta=dict(classes=('a',))), {'': dict(version=1)}
    write_checkpoint(tmp_path / 'out.pth', WEIGHTS, meta, metadata)
    checkpoint = read_checkpoint(tmp_path / 'out.pth')
    assert checkpoint.meta == meta
    assert checkpoint.metadata == metadata
    assert set(checkpoint.weights) == set(WEIGHTS)
    assert [path.name for path in tmp_path.iterdir()] == ['out.pth']


def test_a_failing_write_leaves_nothing(tmp_path, monkeypatch):
    def fails_half_way(content, stream):
        stream.write(b'half')
        raise OSError('No space left on device')

    monkeypatch.setattr(torch, 'save', fails_half_way)
    with pytest.raises(OSError, match='No space'):
        write_checkpoint(tmp_path / 'out.pth', WEIGHTS, {}, {})
    assert not list(tmp_path.iterdir())
