# Small lesions, the synthetic set of tools/make_demo_data.py --lesions: one class of 8 to 24 px,
# three of four images empty. A leaf config over one of the demo set takes it over:
#     globals().update(_base_.lesions)
lesions_root = '{{$LESIONS_ROOT:work_dirs/lesions/data}}/'
lesion_set = dict(data_root=lesions_root, metainfo=dict(classes=('lesion',)))
lesion_metric = dict(ann_file=lesions_root + 'annotations/instances_val.json')
lesions = dict(
    data_root=lesions_root,
    model=dict(
        rpn_head=dict(anchor_generator=dict(scales=[2])),  # 8 px and up, as the lesions
        roi_head=dict(bbox_head=dict(num_classes=1), mask_head=dict(num_classes=1)),
    ),
    train_dataloader=dict(dataset=lesion_set),
    val_dataloader=dict(dataset=lesion_set),
    test_dataloader=dict(dataset=lesion_set),
    val_evaluator=lesion_metric,
    test_evaluator=lesion_metric,
    default_hooks=dict(data_root=dict(data_root=lesions_root, variable='LESIONS_ROOT')),
)
