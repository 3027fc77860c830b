from setuptools import find_packages, setup

# mmdet, mmcv and mmengine are extras: upstream and OneDL's forks bring the same modules under other
# names, and a hard requirement would install one over the other. What is required is what either
# host has already, without bounds beyond need, so that nothing of an existing project moves.
# OpenCV is not named at all: it comes as any of four distributions.
setup(
    name='msrcnn_plugin',
    version='0.1.0',
    description='Mask Scoring R-CNN as a plugin of mmdet 3.x: masks ranked by their own quality',
    license='Apache-2.0',
    packages=find_packages(include=['msrcnn_plugin', 'msrcnn_plugin.*']),
    package_data={'msrcnn_plugin.visualization.report': ['page/*']},
    python_requires='>=3.9',
    install_requires=[
        'torch>=2.1',
        'torchvision',
        'numpy',
        'scipy',
        'jinja2',
        'matplotlib>=3.8',  # ContourSet.set_path_effects
        'pycocotools',
        'shapely>=2',
    ],
    extras_require={
        'openmmlab': ['mmdet>=3.0,<4', 'mmcv>=2.0,<2.2', 'mmengine>=0.10,<1'],
        'onedl': ['onedl-mmdetection>=3.4,<4', 'onedl-mmcv>=2.3,<3', 'onedl-mmengine>=0.10.8,<1'],
        'calibration': ['scikit-learn>=1.2'],
        'dev': ['hypothesis', 'pytest', 'pytest-xdist', 'ruff', 'scikit-learn>=1.2'],
    },
    classifiers=[
        'Intended Audience :: Science/Research',
        'Programming Language :: Python :: 3',
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
    ],
)
