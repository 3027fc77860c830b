# MS R-CNN R18-FPN on nuclei by the paper's recipe, trained whole: the MaskIoU head's loss sends no
# gradient into the mask head. The paper's code lets it pass. It takes a training of the whole model
# to see: on a frozen trunk there is no difference, nor where the head learns from detections.
# study_whole.py compares it with ../nuclei/paper_ms_rcnn_r18_fpn.py.
# Expected: no difference beyond the seeds' spread; the gradient is small beside the mask loss's.
_base_ = '../nuclei/paper_ms_rcnn_r18_fpn.py'

model = dict(roi_head=dict(mask_iou_head=dict(detach_mask=True)))
