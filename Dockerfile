# docker build --tag msrcnn .                     the environment, its mmcv compiled for CPUs
# docker run --rm --shm-size 4g msrcnn make test  or: make demo
#
# For GPUs, name an image with nvcc of torch's CUDA, and what to compile for (9.0 is an H100):
#
# docker build --tag msrcnn:gpu --build-arg BASE=nvidia/cuda:13.0.1-devel-ubuntu24.04 \
#     --build-arg TORCH_CUDA_ARCH_LIST=9.0 .
# docker run --rm --gpus all --shm-size 4g msrcnn:gpu make demo
ARG BASE=ubuntu:24.04
FROM ${BASE}
# hadolint ignore=DL3008
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
        ca-certificates g++ git libgl1 libglib2.0-0 make python3-dev python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /msrcnn
COPY . .
# An index of CPU builds makes the image 2 GB smaller.
ARG TORCH_INDEX=
ARG TORCH_CUDA_ARCH_LIST=
RUN PIP_NO_CACHE_DIR=1 make setup
ENV PATH=/msrcnn/.venv/bin:$PATH
CMD ["make", "test"]
