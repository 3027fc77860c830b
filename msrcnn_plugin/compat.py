"""The one place that knows versions of the host, and the types its own checkpoints name.

Nothing here imports torch, numpy or the host before a function is called: the doctor reads this
file where they are missing.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata

# mmcv from its sdist, with operators. pip's build isolation would hide torch from it and silently
# leave the operators out, pip's cache would later hand the same wheel to another torch, and torch
# 2.14 asks for more than mmcv's C++17.
MEND_MMCV = (
    "pip install 'torch<2.14' 'setuptools<81' wheel ninja && MMCV_WITH_OPS=1 CFLAGS=-g0 "
    'pip install --force-reinstall --no-deps --no-build-isolation --no-cache-dir mmcv==2.1.0'
)


@dataclass(frozen=True)
class HostPackage:
    """A module that must be there, the distributions that bring it, its range, what installs it."""

    module: str
    distributions: tuple[str, ...]
    lowest: str
    below: str | None
    mend: str

    @property
    def expected(self) -> str:
        return f'{self.module} >={self.lowest}' + (f',<{self.below}' if self.below else '')

    def accepts(self, version: str) -> bool:
        given = version_key(version)
        return version_key(self.lowest) <= given and (
            self.below is None or given < version_key(self.below)
        )


# torch has no upper bound: whoever has a host that runs on a newer one may use it. OneDL's forks
# of the host keep the import names.
HOST = (
    HostPackage('torch', ('torch',), '2.1', None, "pip install 'torch>=2.1,<2.14' torchvision"),
    HostPackage(
        'mmengine',
        ('mmengine', 'onedl-mmengine'),
        '0.10',
        '1',
        "pip install 'mmengine>=0.10,<1'",
    ),
    HostPackage('mmcv', ('mmcv', 'onedl-mmcv'), '2.0', '3', MEND_MMCV),
    HostPackage('mmdet', ('mmdet', 'onedl-mmdetection'), '3.0', '4', "pip install 'mmdet>=3.0,<4'"),
)


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, and the command that mends it."""

    what: str
    mend: str

    def __str__(self) -> str:
        return f'{self.what}\n    mend it with: {self.mend}'


def version_key(version: str) -> tuple[int, int, int, bool]:
    """To compare by: a candidate comes before its release, a local part ("+cu130") is dropped."""
    match = re.match(r'(\d+(?:\.\d+)*)(\.?(?:a|b|rc|dev)\d*)?', version)
    if match is None:
        raise ValueError(f'not a version: {version!r}; expected digits and dots, such as 3.3.0')
    major, minor, micro, *_ = (*map(int, match[1].split('.')), 0, 0)
    return major, minor, micro, match[2] is None


def distribution_versions(distributions: Iterable[str]) -> dict[str, str]:
    """Version by name, of those that are installed."""
    found = {}
    for name in distributions:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def installed_versions(package: HostPackage) -> dict[str, str]:
    """By distribution; by import name for a source tree on the path, which has no metadata."""
    found = distribution_versions(package.distributions)
    if found:
        return found
    try:
        return {package.module: str(importlib.import_module(package.module).__version__)}
    except (ImportError, AttributeError):
        return {}


def version_fault(package: HostPackage) -> Fault | None:
    """Missing, installed twice, or outside the range."""
    found = installed_versions(package)
    if not found:
        return Fault(
            f'{package.module} is not installed; expected {package.expected}', package.mend
        )
    if len(found) > 1:
        both = ' and '.join(found)
        uninstall = f'pip uninstall -y {" ".join(found)}'
        return Fault(
            f'{both} both install {package.module} and overwrite each other; expected one of them',
            f'{uninstall} && {package.mend}',
        )
    ((name, version),) = found.items()
    if package.accepts(version):
        return None
    return Fault(f'{name} is {version}; expected {package.expected}', package.mend)


def import_fault(module: str, mend: str) -> Fault | None:
    """What keeps an installed module from being imported, in the words of the module itself."""
    try:
        importlib.import_module(module)
    # Built for another torch, an assertion of mmdet's about mmcv: whatever it raises is a fault.
    except Exception as error:
        reason = (str(error).splitlines() or [''])[0]
        return Fault(f'{module} cannot be imported: {type(error).__name__}: {reason}', mend)
    return None


def mend_torchvision(torch_version: str) -> str:
    """The torchvision of this torch (0.26 goes with 2.11), and torch left alone.

    Replacing torch would break the mmcv that was built against it.
    """
    minor = version_key(torch_version)[1]
    return f"pip install --force-reinstall --no-deps 'torchvision==0.{minor + 15}.*'"


def host_faults() -> list[Fault]:
    """Everything that keeps the plugin from running here; empty where the host is fit."""
    versions = [fault for package in HOST if (fault := version_fault(package))]
    if versions:
        # An import under a wrong version reports a consequence, not the cause.
        return versions
    torch = HOST[0]
    (torch_version,) = installed_versions(torch).values()
    # mmdet last: over sound operators, what it still refuses is the version of mmcv.
    imports = {
        'torch': torch.mend,
        'torchvision': mend_torchvision(torch_version),
        'mmcv.ops': MEND_MMCV,
        'mmdet': MEND_MMCV,
    }
    faults = (import_fault(module, mend) for module, mend in imports.items())
    # The first alone: one that cannot be imported takes those above it along.
    return [fault for fault in faults if fault][:1]


def require_host() -> None:
    """Raise one ImportError: all that is missing or unfit, what was expected, what mends it."""
    faults = host_faults()
    if faults:
        listing = '\n'.join(f'  - {fault}' for fault in faults)
        raise ImportError(
            f'msrcnn_plugin cannot run in this environment:\n{listing}\n'
            '`python -m msrcnn_plugin.doctor` checks all of it; in a checkout, `make setup` makes '
            'a fitting environment in .venv.'
        )


class UnsafeCheckpointError(RuntimeError):
    """A checkpoint asks for more than the types that mmengine itself writes."""


# Kind and size of what mmengine's logs hold. No object type ("O") among them: an array of objects
# over bytes from the file would be an array of pointers of the file's choice.
PLAIN_DTYPES = ('b1', 'i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8', 'f2', 'f4', 'f8')
HISTORY_STATISTICS = ('min', 'max', 'current', 'mean')


def _refuse(request: str, allowed: str) -> None:
    raise UnsafeCheckpointError(
        f'this checkpoint asks for {request}, but only {allowed} is granted, which is all that '
        'mmengine writes. Nothing of it was run. Do not load the file unless you know who made it '
        'and why.'
    )


def granted_getattr(owner: object, name: str):
    """Stands under the name ``builtins.getattr``, by which a HistoryBuffer names its statistics."""
    from mmengine.logging import HistoryBuffer

    if owner is not HistoryBuffer or name not in HISTORY_STATISTICS:
        _refuse(
            f'getattr({owner!r}, {name!r})',
            f"getattr of HistoryBuffer's {', '.join(HISTORY_STATISTICS)}",
        )
    return getattr(HistoryBuffer, name)


def granted_dtype(code: str, *_):
    """Stands under the name ``numpy.dtype``.

    Returns numpy's own constant, not the copy that the pickle asks for: a constant ignores the
    state that the pickle sets on it next, a copy would take flags from it which make numbers count
    as pointers. (So the byte order is this machine's; files of the other order are not supported.)
    """
    import numpy as np

    if code not in PLAIN_DTYPES:
        _refuse(f'numpy.dtype({code!r})', f'a plain number type ({", ".join(PLAIN_DTYPES)})')
    return np.dtype(code)


def granted_empty_array(*_):
    """Stands under the name ``numpy…_reconstruct``: the empty array that the pickle fills next."""
    import numpy as np

    return np.empty(0, 'b')


def granted_array_name(*_):
    """Stands under the name ``numpy.ndarray``: an argument of `_reconstruct`, not to be called.

    ``numpy.ndarray((1,), 'O', some_bytes)`` would read those bytes as a pointer.
    """
    _refuse('numpy.ndarray(...)', 'an array that is read back as it was written')


def checkpoint_globals() -> list:
    """What mmengine's own checkpoints name, as `torch.serialization.add_safe_globals` takes it.

    torch sets state on listed types only, and then also lets the pickle call them by name. Every
    name it looks up has a dot, so a type listed under a name without one is filled, never called.
    """
    import numpy as np
    from mmengine.logging import HistoryBuffer

    scalar = np.float64(0).__reduce__()[0]
    dtype_classes = {type(np.dtype(code)) for code in PLAIN_DTYPES}
    # numpy 2 moved the module; a file written under either is to load under either.
    reconstructors = [
        pair
        for module in ('numpy.core.multiarray', 'numpy._core.multiarray')
        for pair in ((granted_empty_array, f'{module}._reconstruct'), (scalar, f'{module}.scalar'))
    ]
    return [
        HistoryBuffer,
        (granted_getattr, 'builtins.getattr'),
        (granted_dtype, 'numpy.dtype'),
        (granted_array_name, 'numpy.ndarray'),
        (np.ndarray, 'ndarray'),
        *reconstructors,
        *((cls, cls.__name__) for cls in sorted(dtype_classes, key=lambda cls: cls.__name__)),
    ]


def grants_types_by_name() -> bool:
    """Whether this torch, told to read weights only, can be granted `checkpoint_globals`.

    One that cannot refuses a checkpoint with the logs that mmengine keeps while it trains.
    """
    import torch

    return version_key(torch.__version__) >= version_key('2.6')


def allow_own_checkpoints() -> None:
    """Let torch >= 2.6 load what mmengine saved, without switching its check off.

    From 2.6 on, `torch.load` reads weights only unless told otherwise, and mmengine does not tell.
    An older torch reads everything by default and takes no name beside a type: nothing to declare.
    """
    if grants_types_by_name():
        import torch

        torch.serialization.add_safe_globals(checkpoint_globals())


def allow_processes_without_gpu() -> None:
    """Let `--launcher pytorch` run where there is no GPU, over gloo.

    mmengine gives each process a CUDA device whatever the backend, and DistributedDataParallel its
    number. Both are wrong on the CPU alone, and neither is in reach of a config.
    """
    import torch

    if torch.cuda.is_available() or not torch.distributed.is_available():
        return
    from mmengine.dist import utils
    from mmengine.model import MMDistributedDataParallel
    from mmengine.runner import runner

    def init_process_group(backend, init_backend='torch', **kwargs):
        torch.distributed.init_process_group('gloo', **kwargs)

    class CPUDistributedDataParallel(MMDistributedDataParallel):
        """Takes no device numbers."""

        def __init__(self, module, device_ids=None, **kwargs) -> None:
            super().__init__(module, device_ids=None, **kwargs)

    utils._init_dist_pytorch = init_process_group
    runner.MMDistributedDataParallel = CPUDistributedDataParallel
