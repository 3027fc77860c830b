# CondInst R18 on the nuclei of Data Science Bowl 2018, from scratch, for the CPU: the model that
# nuclei_ms_condinst_r18.py adds mask scores to. Data and variable as in
# ../nuclei/mask_rcnn_r18_fpn.py. Its AP is not measured yet.
from mmengine.hub import get_config

_base_ = './nuclei_rtmdet_ins_tiny.py'

width = 96
model = dict(
    _delete_=True,
    **get_config('mmdet::condinst/condinst_r50_fpn_ms-poly-90k_coco_instance.py').model,
)
model['backbone'].update(depth=18, frozen_stages=-1, norm_eval=False, init_cfg=None)
model['neck'].update(in_channels=[64, 128, 256, 512], out_channels=width)
model['bbox_head'].update(num_classes=1, in_channels=width, feat_channels=width, stacked_convs=2)
model['mask_head']['mask_feature_head'].update(in_channels=width, feat_channels=width)
model['test_cfg'].update(max_per_img=300)
