"""The one place that knows the versions of the host, mmdet with mmengine and mmcv.

It imports neither torch nor the host before a function is called: the doctor reads it without them.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from typing import Any, NoReturn

from packaging.specifiers import SpecifierSet
from packaging.version import Version

# Under pip's build isolation torch is absent, and mmcv is built without operators. pip's cache
# would hand the wheel to another torch. torch 2.14 needs a newer C++ than mmcv 2.1 is built with.
FIX_MMCV = (
    "pip install 'torch<2.14' 'setuptools<81' wheel ninja && MMCV_WITH_OPS=1 CFLAGS=-g0 "
    'pip install --force-reinstall --no-deps --no-build-isolation --no-cache-dir mmcv==2.1.0'
)


@dataclass(frozen=True)
class HostPackage:
    """A module of the host, the distributions that bring it, its versions, what installs it."""

    module: str
    distributions: tuple[str, ...]
    versions: SpecifierSet
    fix: str

    def installed(self) -> dict[str, str]:
        """Returns the version by distribution; by module for a source tree without metadata."""
        found = {}
        for name in self.distributions:
            try:
                found[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                continue
        if not found:
            try:
                module = importlib.import_module(self.module)
                return {self.module: str(module.__version__)}
            except (ImportError, AttributeError):
                return {}
        return found

    def problem(self) -> Problem | None:
        """Returns what is wrong with the version: missing, installed twice, or not supported."""
        found = self.installed()
        expected = f'expected {self.module} {self.versions}'
        if not found:
            return Problem(f'{self.module} is not installed; {expected}', self.fix)
        if len(found) > 1:
            both = ' and '.join(found)
            return Problem(
                f'{both} both install {self.module}; expected one of them',
                f'pip uninstall -y {" ".join(found)} && {self.fix}',
            )
        ((name, version),) = found.items()
        if self.versions.contains(version, prereleases=True):
            return None
        return Problem(f'{name} is {version}; {expected}', self.fix)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, and the command that fixes it."""

    what: str
    fix: str

    def __str__(self) -> str:
        return f'{self.what}\n    fix: {self.fix}'


# OneDL's forks keep the names of the modules. torch has no upper bound: a host may run on a newer.
HOST = (
    HostPackage(
        'torch', ('torch',), SpecifierSet('>=2.1'), "pip install 'torch>=2.1,<2.14' torchvision"
    ),
    HostPackage(
        'mmengine',
        ('mmengine', 'onedl-mmengine'),
        SpecifierSet('>=0.10,<1'),
        "pip install 'mmengine>=0.10,<1'",
    ),
    HostPackage('mmcv', ('mmcv', 'onedl-mmcv'), SpecifierSet('>=2.0,<3'), FIX_MMCV),
    HostPackage(
        'mmdet',
        ('mmdet', 'onedl-mmdetection'),
        SpecifierSet('>=3.0,<4'),
        "pip install 'mmdet>=3.0,<4'",
    ),
)


def mim_package() -> str:
    """Returns what mim calls mmdet; for OneDL's mim, `mmdet` is the beginning of two names."""
    return 'mmdet' if 'mmdet' in HOST[3].installed() else 'mmdetection'


def fix_torchvision(torch_version: str) -> str:
    """Returns the command that installs the torchvision of this torch: 0.26 goes with 2.11.

    It leaves torch as it is, because mmcv was built for it.
    """
    minor = Version(torch_version).minor
    return f"pip install --force-reinstall --no-deps 'torchvision==0.{minor + 15}.*'"


def import_problem(module: str, fix: str) -> Problem | None:
    """Returns what keeps an installed module from being imported, in its own words."""
    try:
        importlib.import_module(module)
    # A build for another torch, an assertion of mmdet about mmcv: the types vary.
    except Exception as error:
        reason = (str(error).splitlines() or [''])[0]
        return Problem(f'{module} cannot be imported: {type(error).__name__}: {reason}', fix)
    return None


def host_problems() -> list[Problem]:
    """Returns everything that keeps mmdet with this plugin from running; empty if it runs."""
    problems = [problem for package in HOST if (problem := package.problem())]
    if problems:
        # An import under a wrong version reports a consequence, not the cause.
        return problems
    (torch_version,) = HOST[0].installed().values()
    # In this order: a module that cannot be imported takes those after it along.
    fixes = {
        'torch': HOST[0].fix,
        'torchvision': fix_torchvision(torch_version),
        'mmcv.ops': FIX_MMCV,
        'mmdet': FIX_MMCV,
    }
    found = (import_problem(module, fix) for module, fix in fixes.items())
    return [problem for problem in found if problem][:1]


def require_host() -> None:
    """Raises one ImportError that lists all problems of the host, each with its fix."""
    problems = host_problems()
    if problems:
        listing = '\n'.join(f'  - {problem}' for problem in problems)
        raise ImportError(
            f'msrcnn_plugin needs a working mmdet here:\n{listing}\n'
            'evaluation, figures and reports work without mmdet. `msrcnn doctor` checks the '
            'installation; in a checkout, `make setup` makes an environment.'
        )


# --- mmengine's own checkpoints
#
# From 2.6 on, torch.load reads weights only unless told otherwise, and mmengine 0.10.7 does not
# tell. It then refuses mmengine's own checkpoints, because they hold the logs: HistoryBuffer with
# numpy arrays, and `getattr(HistoryBuffer, 'mean')`. The names below are granted to torch, each
# bound to a function that does no more than that. The real functions would let a file run any code
# (getattr) or read any memory (numpy.dtype, numpy.ndarray).

# No object type ("O"): its numbers would count as pointers.
PLAIN_DTYPES = ('b1', 'i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8', 'f2', 'f4', 'f8')
HISTORY_STATISTICS = ('min', 'max', 'current', 'mean')


class UnsafeCheckpointError(RuntimeError):
    """Says that a checkpoint asks for more than what mmengine itself writes."""


def _refuse(request: str) -> NoReturn:
    raise UnsafeCheckpointError(
        f'this checkpoint asks for {request}, which mmengine never writes. Nothing of it was run. '
        'Do not load the file unless you know who made it and why.'
    )


def granted_getattr(owner: object, name: str) -> Any:
    """Stands in for `builtins.getattr`; returns a statistic of HistoryBuffer, refuses the rest."""
    from mmengine.logging import HistoryBuffer

    if owner is not HistoryBuffer or name not in HISTORY_STATISTICS:
        _refuse(f'getattr({owner!r}, {name!r})')
    return getattr(HistoryBuffer, name)


def granted_dtype(code: str, *_: Any) -> Any:
    """Stands in for `numpy.dtype`; returns numpy's own constant of a plain number type.

    A constant ignores the state that the pickle sets on it next, with flags such as "object".
    """
    import numpy as np

    if code not in PLAIN_DTYPES:
        _refuse(f'numpy.dtype({code!r})')
    return np.dtype(code)


def granted_empty_array(*_: Any) -> Any:
    """Stands in for numpy's `_reconstruct`; returns the empty array that the pickle fills next."""
    import numpy as np

    return np.empty(0, 'b')


def granted_array_name(*_: Any) -> NoReturn:
    """Stands in for `numpy.ndarray`, which `_reconstruct` takes as an argument; refuses a call."""
    _refuse('numpy.ndarray(...)')


def checkpoint_globals() -> list[Any]:
    """Returns what mmengine's checkpoints name, as `torch.serialization.add_safe_globals` takes it.

    torch fills instances of listed types only, but also lets a pickle call what is listed under the
    name that it asks for. Those names have a dot: a type listed without one is never called.
    """
    import numpy as np
    from mmengine.logging import HistoryBuffer

    scalar = np.float64(0).__reduce__()[0]
    dtypes = {type(np.dtype(code)) for code in PLAIN_DTYPES}
    granted: list[Any] = [
        HistoryBuffer,
        (granted_getattr, 'builtins.getattr'),
        (granted_dtype, 'numpy.dtype'),
        (granted_array_name, 'numpy.ndarray'),
        (np.ndarray, 'ndarray'),
        *((dtype, dtype.__name__) for dtype in sorted(dtypes, key=lambda dtype: dtype.__name__)),
    ]
    # numpy 2 renamed the module; a file written under either loads under either.
    for module in ('numpy.core.multiarray', 'numpy._core.multiarray'):
        granted += [(granted_empty_array, f'{module}._reconstruct'), (scalar, f'{module}.scalar')]
    return granted


def grants_types_by_name() -> bool:
    """Returns whether this torch takes `checkpoint_globals` (2.6 or newer).

    An older torch reads everything by default; told to read weights only, it refuses the logs.
    """
    import torch

    return Version(torch.__version__) >= Version('2.6')


def allow_own_checkpoints() -> None:
    """Lets mmengine load what it saved under torch >= 2.6, without switching torch's check off.

    OneDL's mmengine needs no help: it grants numpy's functions around each of its loads. Mixed with
    ours, they would fail.
    """
    from mmengine.runner import checkpoint

    if grants_types_by_name() and not hasattr(checkpoint, 'get_torch_safe_globals'):
        import torch

        torch.serialization.add_safe_globals(checkpoint_globals())


@contextmanager
def own_checkpoints_allowed() -> Iterator[None]:
    """Lets `torch.load(..., weights_only=True)` read mmengine's checkpoints inside the block."""
    if not grants_types_by_name():
        yield
        return
    import torch

    # What is granted already would be withdrawn at the end.
    granted = torch.serialization.get_safe_globals()
    missing = [entry for entry in checkpoint_globals() if entry not in granted]
    with torch.serialization.safe_globals(missing):
        yield


# --- torch


def computes_in_bfloat16() -> bool:
    """Returns whether this CPU multiplies bfloat16 itself, twice as fast as float32.

    An older torch does not say, and then computes in float32.
    """
    import torch

    supported = getattr(torch.cpu, '_is_avx512_bf16_supported', None)
    return bool(supported and supported())
