from pathlib import Path

from setuptools import find_packages, setup

# What is required serves evaluation, figures and the command, which need no host.
# The host is an extra. OpenMMLab's and OneDL's bring the same modules under other names, so that
# requiring one would install it over the other. Bounds are as wide as need be: the packages of an
# existing project stay as they are.
TORCH = ['torch>=2.1', 'torchvision', 'shapely>=2']
# sahi is not among them: it needs an OpenCV that needs numpy 2.
TEST = [
    'build',
    'hypothesis',
    'lightgbm>=4',
    'lvis',
    'onnx>=1.15',
    'onnxruntime>=1.17',
    'pytest',
    'pytest-xdist',
    'safetensors',
    'scikit-learn>=1.2',
    'shapely>=2',
    'twine',
]

setup(
    name='msrcnn_plugin',
    version='0.2.0',
    description='Mask Scoring R-CNN as a plugin of mmdet 3.x: masks ranked by their own quality',
    long_description=Path(__file__).with_name('README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    packages=find_packages(include=['msrcnn_plugin', 'msrcnn_plugin.*']),
    package_data={
        # `mim train msrcnn_plugin CONFIG` finds the config by its file name, which must be unique.
        'msrcnn_plugin': [
            'py.typed',
            '.mim/configs/*.py',
            '.mim/configs/_base_/*.py',
            '.mim/configs/any/*.py',
            '.mim/configs/own/*.py',
            '.mim/tools/*.py',
        ],
        'msrcnn_plugin.visualization.report': ['page/*'],
    },
    entry_points={'console_scripts': ['msrcnn = msrcnn_plugin.commands.main:main']},
    python_requires='>=3.10',
    install_requires=[
        'array-api-compat',
        'jinja2',
        'matplotlib>=3.8',  # ContourSet.set_path_effects
        'msgspec',
        'numpy',
        'packaging',
        'pycocotools',
        'rich',
        'scipy',
    ],
    extras_require={
        'torch': TORCH,
        'openmmlab': [*TORCH, 'mmdet>=3.0,<4', 'mmcv>=2.0,<2.2', 'mmengine>=0.10,<1'],
        'onedl': [
            *TORCH,
            'onedl-mmdetection>=3.4,<4',
            'onedl-mmcv>=2.3,<3',
            'onedl-mmengine>=0.10.8,<1',
        ],
        'sahi': ['sahi>=0.11'],
        'supervision': ['supervision>=0.25'],
        # What reads our files elsewhere. Their own requirements move packages of mmdet's.
        'connectors': ['datumaro', 'fiftyone', 'label-studio-sdk'],
        'calibration': ['scikit-learn>=1.2'],
        'rescore': ['lightgbm>=4', 'scikit-learn>=1.2'],
        'onnx': ['onnx>=1.15', 'onnxscript', 'onnxslim'],
        # An environment of mmdet has another OpenCV already, and needs onnxruntime alone.
        'onnxruntime': ['onnxruntime>=1.17', 'opencv-python-headless'],
        'test': TEST,
        'dev': [*TEST, 'mypy', 'onnxscript', 'onnxslim', 'ruff', 'sahi>=0.11', 'supervision>=0.25'],
        'docs': [
            'ipykernel',
            'mkdocs-jupyter',
            'mkdocs-material',
            'mkdocstrings[python]',
            'nbmake',
        ],
    },
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX :: Linux',
        'Programming Language :: Python :: 3',
        'Programming Language :: Python :: 3.10',
        'Programming Language :: Python :: 3.11',
        'Programming Language :: Python :: 3.12',
        'Programming Language :: Python :: 3.13',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
        'Topic :: Scientific/Engineering :: Image Recognition',
        'Typing :: Typed',
    ],
)
