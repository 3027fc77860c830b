# MS R-CNN R50-FPN by the paper's recipe on the nuclei of Data Science Bowl 2018, from scratch, at
# 512 px, for a GPU: what ms_rcnn_r50_fpn.py, our recipe, is compared with.
# To reach: the box AP of mask_rcnn_r50_fpn.py, and a small gain in mask AP. Not measured yet.
_base_ = './mask_rcnn_r50_fpn.py'

model = dict(roi_head={{_base_.mask_scoring}})
visualizer = dict(type='MaskScoringVisualizer')
