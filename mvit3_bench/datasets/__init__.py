"""What the recipes need of data and the frameworks lack; `mini` draws miniature data sets, with numpy and OpenCV alone."""
