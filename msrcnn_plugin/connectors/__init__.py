"""Hands masks and their scores to other tools: one module a tool, imported by its name.

`supervision_detections` and `sahi_model` need the tool; `cvat` and `label_studio` write files.
"""
