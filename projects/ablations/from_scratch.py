"""Models trained from scratch: three on nuclei, and those that other studies start from."""

from __future__ import annotations

from .study import Row, Study


def three_models(backbone: str) -> tuple[Row, ...]:
    """Three models of the same trunk, data and schedule."""
    paper = f'nuclei/paper_ms_rcnn_{backbone}_fpn.py'
    return (
        Row('mask_rcnn', 'Mask R-CNN', f'nuclei/mask_rcnn_{backbone}_fpn.py'),
        # mmdet writes the mask score over the class score. Tested in this plugin's head, the same
        # weights give both scores; boxes and masks are the same.
        Row('ms_rcnn', "mmdet's MS R-CNN", f'nuclei/stock_ms_rcnn_{backbone}_fpn.py', test=paper),
        Row('plugin', 'MS R-CNN, this plugin, our recipe', f'nuclei/ms_rcnn_{backbone}_fpn.py'),
    )


NUCLEI = Study(
    'nuclei',
    'Nuclei, R18-FPN with 96 channels, 320 px, 8 epochs from scratch, CPU',
    'nuclei',
    three_models('r18'),
    seeds=(0, 1),
)
SMALL = {  # for studies of many rows: less than half of the time
    'model.backbone.base_channels': 32,
    'model.neck.in_channels': [32, 64, 128, 256],
    'model.neck.out_channels': 64,
    'model.rpn_head.in_channels': 64,
    'model.rpn_head.feat_channels': 64,
    'model.roi_head.bbox_roi_extractor.out_channels': 64,
    'model.roi_head.bbox_head.in_channels': 64,
    'model.roi_head.bbox_head.fc_out_channels': 256,
    'model.roi_head.mask_roi_extractor.out_channels': 64,
    'model.roi_head.mask_head.in_channels': 64,
    'model.roi_head.mask_head.conv_out_channels': 64,
    'train_dataloader.dataset.pipeline.3.crop_size': (256, 256),
}
NUCLEI_SMALL = Study(
    'nuclei_small',
    'Nuclei, R18-FPN with 64 channels, 256 px, 8 epochs from scratch, CPU',
    'nuclei',
    (Row('mask_rcnn', 'Mask R-CNN', 'nuclei/mask_rcnn_r18_fpn.py', SMALL),),
)
NUCLEI_GPU = Study(  # not carried out yet
    'nuclei_gpu',
    'Nuclei, R50-FPN, 512 px, 40 epochs from scratch, GPU',
    'nuclei',
    three_models('r50'),
    seeds=(0, 1),
)
DEMO = Study(
    'demo', 'Demo set', 'demo', (Row('mask_rcnn', 'Mask R-CNN', 'demo/mask_rcnn_r18_fpn.py'),)
)
