#!/usr/bin/env bash
# Makes the environment of this checkout; the Makefile calls the steps that are due:
#
#   VENV=.venv PYTHON= HOST= TORCH_INDEX= MAX_JOBS= tools/setup.sh venv|torch|packages|mmcv
#
# mmcv is why this is more than `pip install`. It has no wheels for a recent torch, so it is compiled
# here, once for each mmcv, torch, Python and CPU or GPU, and the wheel is kept in a cache of its own:
# pip's cache knows a wheel by name and Python only, and would hand it to another torch.
set -euo pipefail
cd "$(dirname "$0")/.."
unset PYTHONPATH PYTHONHOME PIP_TARGET PIP_PREFIX PIP_USER # the caller's shell must not leak in
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
venv=${VENV:-.venv} && python=$venv/bin/python && state=$venv/.setup && log=$state/setup.log
cache=${XDG_CACHE_HOME:-$HOME/.cache}/msrcnn_plugin/wheels
constraints=${CONSTRAINTS:-constraints.txt} extras=${EXTRAS:-dev,docs} # tools/matrix.py sets others

fail() { echo "set-up: $*" >&2; exit 1; }

run() { # Shows large downloads and what is compiled; all output goes to the log.
  "$@" 2>&1 | while IFS= read -r line; do
    echo "$line" >>"$log"
    if [[ $line =~ Downloading\ .*\([0-9]{2,}\.?[0-9]*\ MB\) ]]; then
      echo "  ${line##*/}"
    elif [[ $line =~ ^\ *\[([0-9]+)/([0-9]+)\] ]] && ((BASH_REMATCH[1] % 8 == 0)); then
      echo "  ${BASH_REMATCH[1]} of ${BASH_REMATCH[2]} files compiled"
    fi
  done || {
    tail -n 15 "$log" >&2
    fail "a command failed: ${*:1:8}. The whole log: $log. The next call goes on from here."
  }
}
pip_install() { run "$python" -m pip install --no-compile -c "$constraints" "$@"; }

fits() { # Whether an interpreter runs, has venv, and is of a version that the host supports.
  "$1" -c "import ensurepip, sys, venv; sys.exit(sys.version_info[:2] not in [$versions])" 2>/dev/null
}

find_python() {
  local pyenv=${PYENV_ROOT:-$HOME/.pyenv}/versions candidate
  local candidates=(python3.11 python3.10 python3.12 python3.13 python3
    "$pyenv"/3.11.*/bin/python "$pyenv"/3.10.*/bin/python "$pyenv"/3.1[23].*/bin/python)
  if [[ ${PYTHON:-} =~ ^3\.[0-9]+$ ]]; then # a version, wherever it is
    candidates=("python$PYTHON" "$pyenv/$PYTHON".*/bin/python)
  elif [[ -n ${PYTHON:-} ]]; then
    fits "$PYTHON" && echo "$PYTHON" && return
    fail "PYTHON=$PYTHON ($("$PYTHON" --version 2>&1 | tail -n 1)) does not fit. $expected"
  fi
  for candidate in "${candidates[@]}"; do
    fits "$candidate" && echo "$candidate" && return
  done
  fail "no Python ${PYTHON:+$PYTHON }that fits was found. $expected"
}

check_compiler() { # mmcv is C++17 and includes Python.h.
  local cxx=${CXX:-c++} include message
  command -v "${cxx%% *}" >/dev/null ||
    fail "no C++ compiler: $cxx is not on the path. Install one (Debian, Ubuntu: apt install g++) or name it in CXX."
  include=$("$1" -c 'import sysconfig; print(sysconfig.get_paths()["include"])')
  message=$($cxx -std=c++17 -fsyntax-only -x c++ "-I$include" - 2>&1 <<<$'#include <Python.h>\n#include <optional>') ||
    fail "$cxx does not compile C++17 with Python.h: ${message%%$'\n'*} Install a newer compiler or the headers (Debian, Ubuntu: apt install python3-dev)."
}

check_disk() { # Measured: the environment, what pip unpacks on the way, what it and we keep.
  local folder=$venv needed=12 free
  [[ -z ${TORCH_INDEX:-} ]] || needed=5
  until [[ -d $folder ]]; do folder=$(dirname "$folder"); done
  free=$(df -Pk "$folder" | awk 'NR == 2 {print int($4 / 1e6)}')
  ((free >= needed)) ||
    fail "$free GB are free on the disk of $folder, but $needed GB are needed. Free some, or choose another disk with VENV=."
}

make_venv() {
  local versions='(3, 10), (3, 11), (3, 12), (3, 13)' names='3.10 to 3.13' found expected
  [[ ${HOST:-} != openmmlab ]] || { versions='(3, 10), (3, 11)' names='3.10 or 3.11'; }
  expected="Expected Python $names with venv. Install one (Debian, Ubuntu: apt install python3-venv python3-dev) or name one with PYTHON=."
  [[ ! -d $venv || -d $state || -z $(ls -A "$venv") ]] ||
    fail "$venv exists and was not made by this set-up. Delete it, or choose another folder with VENV=."
  found=$(find_python)
  check_compiler "$found"
  check_disk
  mkdir -p "$state"
  echo "an environment of $("$found" --version) in $venv"
  run "$found" -m venv "$venv"
}

install_torch() {
  echo 'torch and torchvision (gigabytes, where pip has not kept them)'
  # Both from one source: a mixture of CPU and CUDA builds cannot be imported.
  [[ -z ${TORCH_INDEX:-} ]] || pip_install --no-deps --index-url "$TORCH_INDEX" torch torchvision
  pip_install torch torchvision numpy 'setuptools>=70.1' wheel ninja
}

install_packages() {
  echo "the host ($host), the tests and this package"
  local packages='mmengine mmdet openmim'
  [[ $host != onedl ]] || packages='onedl-mmengine onedl-mmdetection onedl-mim faster-coco-eval'
  # shellcheck disable=SC2086
  pip_install $packages opencv-python -e ".[$extras]"
}

describe_wheel() { # Prints what a wheel of mmcv depends on, and how many files to compile at once.
  "$python" - <<'PYTHON'
import os, platform, re, shutil, subprocess, sys, torch
device, gigabytes = 'cpu', 1
nvcc = shutil.which('nvcc') and subprocess.check_output(['nvcc', '--version'], text=True)
cuda = torch.version.cuda or ''
# nvcc must be of torch's own major version. Where torch sees no GPU, as while an image is built,
# TORCH_CUDA_ARCH_LIST says what to compile for.
gpus = set(re.findall(r'\d+\.\d+', os.environ.get('TORCH_CUDA_ARCH_LIST', '')))
if not gpus and torch.cuda.is_available():
    capability = torch.cuda.get_device_capability
    gpus = {'%d.%d' % capability(i) for i in range(torch.cuda.device_count())}
if gpus and nvcc and f'release {cuda.split(".")[0]}.' in nvcc:
    sm = '-'.join(sorted(gpu.replace('.', '') for gpu in gpus))
    device, gigabytes = f'cu{cuda.replace(".", "")}-sm{sm}', 3
machine = f'{platform.system()}-{platform.machine()}'.lower()
memory = os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9
print(f'torch-{torch.__version__}_cp3{sys.version_info[1]}_{device}_{machine}')
print(max(1, min(os.cpu_count(), int(memory / gigabytes))))
PYTHON
}

use_wheel() { # Installs it and runs an operator; an import alone would not show a missing one.
  "$python" -m pip install --force-reinstall --no-deps --no-index "$1" >>"$log" 2>&1 || return 1
  "$python" - "$1" >>"$log" 2>&1 <<'PYTHON'
import sys, torch
from mmcv.ops import roi_align
for device in ('cpu', 'cuda') if '_cu' in sys.argv[1] and torch.cuda.is_available() else ('cpu',):
    roi = torch.tensor([[0., 1, 1, 5, 5]], device=device)
    assert roi_align(torch.ones(1, 1, 8, 8, device=device), roi, 2).sum() == 4
PYTHON
}

install_mmcv() {
  local name=mmcv version key jobs wheel build
  [[ $host != onedl ]] || name=onedl-mmcv
  version=$(sed -n "s/^$name==//p" "$constraints")
  { read -r key && read -r jobs; } < <(describe_wheel)
  key=${name/-/_}-${version}_$key && jobs=${MAX_JOBS:-$jobs} && build=$state/build-$key
  for wheel in "$cache/$key"/*.whl; do
    [[ -e $wheel ]] || continue
    echo "mmcv, compiled before: $wheel"
    if use_wheel "$wheel"; then return; fi
    echo '  it does not work here and is deleted'
    rm "$wheel"
  done
  echo "mmcv: compiling $jobs files at a time, about $(((9 + jobs) / jobs)) minutes (longer for CUDA), once for $cache"
  mkdir -p "$build" "$cache/$key"
  # The source tree stays until the wheel works: after an interruption ninja goes on from there.
  if [[ ! -d $build/source ]]; then
    run "$python" -m pip download --no-deps --no-build-isolation --no-binary "$name" -d "$build" "$name==$version"
    mkdir -p "$build/unpacked"
    tar -xzf "$build"/*.tar.gz -C "$build/unpacked" --strip-components 1
    mv "$build/unpacked" "$build/source"
  fi
  # mmcv would try CUDA wherever torch sees a GPU, also without nvcc.
  if [[ $key == *_cu* ]]; then export FORCE_CUDA=1; else export FORCE_CUDA=0 CUDA_VISIBLE_DEVICES=; fi
  # Debug information (-g) would double the time.
  export MMCV_WITH_OPS=1 MAX_JOBS=$jobs CFLAGS="${CFLAGS:-} -g0" CXXFLAGS="${CXXFLAGS:-} -g0"
  PATH=$(cd "$venv/bin" && pwd):$PATH # ninja
  run "$python" -m pip wheel --verbose --no-deps --no-build-isolation --no-cache-dir -w "$build" "$build/source"
  use_wheel "$build"/*.whl ||
    fail "mmcv $version was compiled, but its operators do not run. The whole log: $log. Delete $build to start again."
  mv "$build"/*.whl "$cache/$key/" && rm -r "$build"
}

[[ ${HOST:-openmmlab} =~ ^(openmmlab|onedl)$ ]] || fail "HOST=$HOST is unknown. Expected openmmlab or onedl."
[[ $1 != venv ]] || make_venv
if command -v flock >/dev/null; then # Two calls at once take turns; a compiler left behind counts.
  exec 9>"$state/lock"
  flock -n 9 || { touch "$state/waiting" && echo 'waiting for another set-up' && flock 9; }
  [[ ! $state/$1 -nt $state/waiting || ! -e $state/waiting ]] || exit 0 # done meanwhile
fi
# OpenMMLab's mim and mmcv end at Python 3.11; OneDL's forks go on.
host=${HOST:-$("$python" -c 'import sys; print("onedl" if sys.version_info >= (3, 12) else "openmmlab")')}
[[ $1 == venv ]] || "install_$1"
echo "$host" >"$state/host"
touch "$state/$1"
