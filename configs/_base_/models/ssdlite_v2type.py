"""SSDLite at 320x320 on a backbone of the v2 type, whose weights are RGB."""
_base_ = ['ssdlite_v1type.py']
model = dict(init_cfg=None, data_preprocessor=dict(bgr_to_rgb=True))
