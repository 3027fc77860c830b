"""What a checkpoint may name: what mmengine itself writes, and nothing else."""

import io
import os
import pickle
import zipfile
from collections import Counter, deque

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModel
from mmengine.runner import Runner, load_checkpoint
from torch.utils.data import Dataset

from msrcnn_plugin import compat

pytestmark = pytest.mark.skipif(
    not compat.grants_types_by_name(),
    reason='torch below 2.6 reads weights and nothing beside them, and the plugin says so',
)


class Line(BaseModel):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(2))

    def forward(self, x, mode):
        return {'loss': (self.weight * torch.stack(x)).mean()}


class Ones(Dataset):
    def __init__(self):
        self.metainfo = {'classes': ('one',)}

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return {'x': torch.ones(2)}


def runner(work_dir, epochs, **settings):
    return Runner(
        Line(),
        str(work_dir),
        train_dataloader=dict(dataset=Ones(), batch_size=1, sampler=dict(type='DefaultSampler')),
        train_cfg=dict(by_epoch=True, max_epochs=epochs),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9)),
        param_scheduler=dict(type='LinearLR', by_epoch=False, end=2),
        experiment_name=f'{work_dir.name}_{epochs}',
        **settings,
    )


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """A checkpoint of a real run of two iterations."""
    work_dir = tmp_path_factory.mktemp('run')
    runner(work_dir, epochs=1).train()
    return work_dir / 'epoch_1.pth'


def saved(content):
    file = io.BytesIO()
    torch.save(content, file)
    file.seek(0)
    return file


def with_pickle(file, change):
    """The checkpoint file with its pickle put through ``change``."""
    changed = io.BytesIO()
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(changed, 'w') as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, change(content) if name.endswith('data.pkl') else content)
    changed.seek(0)
    return changed


def crafted(instructions):
    """A checkpoint whose pickle is exactly these instructions (protocol 2, as torch writes it)."""
    return with_pickle(saved({}), lambda _: b'\x80\x02' + instructions + b'.')


def load(file):
    with compat.own_checkpoints_allowed():
        return torch.load(file, weights_only=True)


class Calls:
    """Pickles as the call of a function with arguments."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


def test_a_real_checkpoint_loads_with_weights_only(trained):
    content = load(trained)
    losses = content['message_hub']['log_scalars']['train/loss']
    assert isinstance(losses, HistoryBuffer)
    assert type(losses.data[0]) is np.ndarray
    assert losses.mean() == pytest.approx(losses.data[0].mean())
    assert len(losses.data[0]) == 2


def test_without_the_grant_it_does_not(trained):
    granted = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    try:
        with pytest.raises(pickle.UnpicklingError, match='HistoryBuffer'):
            torch.load(trained, weights_only=True)
        load(trained)
        assert not torch.serialization.get_safe_globals()
    finally:
        torch.serialization.add_safe_globals(granted)


def test_what_is_granted_to_mmengine_stays_granted_after_a_read(trained):
    before = set(map(str, torch.serialization.get_safe_globals()))
    load(trained)
    assert set(map(str, torch.serialization.get_safe_globals())) == before


def test_mmengine_loads_it(trained):
    model = Line()
    with torch.no_grad():
        model.weight.zero_()
    load_checkpoint(model, str(trained), map_location='cpu')
    assert model.weight.abs().sum() > 0


def test_mmengine_resumes_from_it(trained, tmp_path):
    resumed = runner(tmp_path, epochs=2, load_from=str(trained), resume=True)
    resumed.train()
    assert resumed.iter == 4
    assert len(resumed.message_hub.get_scalar('train/loss').data[0]) == 4


@pytest.mark.parametrize('code', compat.PLAIN_DTYPES)
def test_arrays_and_scalars_of_plain_numbers_come_back(code):
    array = np.array([[0, 1], [1, 0]], dtype=code)
    back = load(saved({'array': array, 'scalar': array[0, 1]}))
    np.testing.assert_array_equal(back['array'], array)
    assert back['array'].dtype == array.dtype
    assert back['scalar'] == array[0, 1]
    assert type(back['scalar']) is type(array[0, 1])


@pytest.mark.parametrize('module', [b'numpy.core.multiarray', b'numpy._core.multiarray'])
def test_files_of_numpy_1_and_2_both_load(module):
    content = {'array': np.arange(3.0), 'scalar': np.float64(4)}
    written_by = np.float64(0).__reduce__()[0].__module__.encode()
    file = with_pickle(saved(content), lambda pickled: pickled.replace(written_by, module))
    back = load(file)
    np.testing.assert_array_equal(back['array'], content['array'])
    assert back['scalar'] == 4


# --- and nothing else


@pytest.mark.parametrize('name', compat.HISTORY_STATISTICS)
def test_the_four_statistics_are_granted(name):
    assert compat.granted_getattr(HistoryBuffer, name) is getattr(HistoryBuffer, name)


@pytest.mark.parametrize(
    ('owner', 'name'),
    [(HistoryBuffer, '__init__'), (HistoryBuffer, 'update'), (os, 'system'), (np, 'min')],
)
def test_any_other_attribute_is_refused(owner, name):
    with pytest.raises(compat.UnsafeCheckpointError, match='getattr'):
        compat.granted_getattr(owner, name)


def test_a_pickle_that_climbs_by_getattr_is_refused_and_runs_nothing(tmp_path):
    """getattr(getattr(HistoryBuffer.mean, '__globals__'), …) would reach any module."""
    attack = (
        b'c__builtin__\ngetattr\n(cmmengine.logging.history_buffer\nHistoryBuffer\n'
        b'X\x08\x00\x00\x00__init__tR'
    )
    with pytest.raises(compat.UnsafeCheckpointError, match='__init__'):
        load(crafted(attack))


def test_os_system_is_refused_and_runs_nothing(tmp_path):
    mark = tmp_path / 'ran'
    with pytest.raises(pickle.UnpicklingError, match='posix'):
        load(saved(Calls(os.system, f'touch {mark}')))
    assert not mark.exists()


def test_a_granted_method_cannot_be_called():
    attack = (
        b'c__builtin__\ngetattr\n(cmmengine.logging.history_buffer\nHistoryBuffer\n'
        b'X\x04\x00\x00\x00meantR)R'
    )
    with pytest.raises(pickle.UnpicklingError, match='unrecognized function'):
        load(crafted(attack))


def test_an_array_over_bytes_of_the_file_is_refused():
    """As objects, the bytes would be pointers: `numpy.ndarray` may not be called by name."""
    with pytest.raises(compat.UnsafeCheckpointError, match='ndarray'):
        load(saved(Calls(np.ndarray, (1,), 'O', b'\x01' * 8)))


def test_nor_can_one_be_made_past_its_call():
    """The instruction NEWOBJ asks for `ndarray.__new__` instead of calling `ndarray`."""
    with pytest.raises(TypeError):
        load(crafted(b'cnumpy\nndarray\n(K\x01\x85X\x01\x00\x00\x00Ot\x81'))


@pytest.mark.parametrize('dtype', ['O', 'U4', 'M8[s]', [('a', 'f8')]], ids=str)
def test_a_dtype_other_than_plain_numbers_is_refused(dtype):
    with pytest.raises(compat.UnsafeCheckpointError, match=r'numpy\.dtype'):
        load(saved(Calls(np.dtype, dtype)))


def test_a_dtype_takes_no_flags_from_the_file():
    """A float64 with an object's flags would have its numbers followed as pointers."""
    state = (3, '<', None, None, None, 400, -1, 63)

    class Forged:
        def __reduce__(self):
            return np.dtype, ('f8', False, True), state

    dtype = load(saved(Forged()))
    assert dtype == np.dtype('f8')
    assert (dtype.itemsize, dtype.hasobject) == (8, False)


@pytest.mark.parametrize(
    ('foreign', 'name'),
    [(deque([1]), 'collections.deque'), (Ones(), 'Ones')],
    ids=['deque', 'class'],
)
def test_a_foreign_type_is_refused_by_name_with_what_to_do(foreign, name):
    with pytest.raises(pickle.UnpicklingError, match=name) as raised:
        load(saved({'meta': foreign}))
    assert 'add_safe_globals' in str(raised.value)
    assert 'trust' in str(raised.value)


def test_the_real_getattr_is_not_on_the_list():
    entries = compat.checkpoint_globals()
    functions = [entry[0] if isinstance(entry, tuple) else entry for entry in entries]
    assert getattr not in functions
    assert compat.granted_getattr in functions


def test_weights_and_counters_load_as_before():
    content = {'state_dict': {'w': torch.ones(2)}, 'count': Counter('aab')}
    back = load(saved(content))
    assert torch.equal(back['state_dict']['w'], torch.ones(2))
    assert back['count'] == Counter('aab')


def test_an_older_torch_is_left_alone(monkeypatch):
    monkeypatch.setattr(torch, '__version__', '2.5.1')
    monkeypatch.delattr(torch.serialization, 'add_safe_globals')
    assert compat.allow_own_checkpoints() is None
