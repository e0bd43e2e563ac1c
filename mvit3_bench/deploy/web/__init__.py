"""A trained model as a static page: onnxruntime-web in the browser, on the machine or the phone that opens it."""
