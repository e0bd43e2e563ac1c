"""SSDLite at 320x320 on a backbone of the v2 type, whose weights are RGB, and whose detections are limited otherwise."""
_base_ = ['ssdlite_v1type.py']
model = dict(
    init_cfg=None,  # PyTorch's own
    data_preprocessor=dict(bgr_to_rgb=True),
    test_cfg=dict(
        _delete_=True,
        score_thr=0.01,
        max_per_class=400,
        nms=dict(iou_threshold=0.5),
        max_per_img=200))
