// Pictures of any origin as pixels: files, what is dropped, the camera.

const MOST = 16e6; // pixels: telephones allow no larger canvas

// A file or blob -> ImageBitmap with its own colours, turned as its EXIF entry says.
export async function decode(blob) {
  const options = {imageOrientation: 'from-image', colorSpaceConversion: 'none'};
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, options);
  } catch {
    throw new Error(`${blob.name ?? 'This'} is no picture that this browser can read (${blob.type || 'of unknown type'}).`);
  }
  const scale = Math.sqrt(MOST / (bitmap.width * bitmap.height));
  return scale >= 1 ? bitmap : createImageBitmap(bitmap, {
    resizeWidth: Math.floor(bitmap.width * scale), resizeHeight: Math.floor(bitmap.height * scale), resizeQuality: 'high'});
}

// A bitmap or a video -> ImageData; what is transparent becomes white.
export function pixelsOf(source) {
  const [width, height] = [source.videoWidth ?? source.width, source.videoHeight ?? source.height];
  const context = new OffscreenCanvas(width, height).getContext('2d', {willReadFrequently: true});
  context.fillStyle = '#fff';
  context.fillRect(0, 0, width, height);
  context.drawImage(source, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

// What was dropped: a file, or the address of a picture, which its host must allow other pages to read.
export async function dropped(data) {
  if (data.files.length) return data.files[0];
  const address = data.getData('text/uri-list') || data.getData('text/plain');
  if (!address) throw new Error('What was dropped is neither a file nor an address.');
  try {
    const name = new URL(address).pathname.split('/').pop();
    return new File([await (await fetch(address)).blob()], name);
  } catch {
    throw new Error(`${address} cannot be read from here: its host does not allow it. Save the picture and open the file.`);
  }
}

const REFUSED = {
  NotAllowedError: 'The camera was not allowed. Allow it for this page in the browser, or take a photo or open a picture.',
  NotFoundError: 'This device has no camera that the browser can use. Take a photo or open a picture.',
  NotReadableError: 'The camera is in use elsewhere. Close the other program, or open a picture.',
};

// A video of the camera, the one at the back where there are two.
export async function camera() {
  if (!navigator.mediaDevices) {
    throw new Error('Browsers give the camera to https and localhost only. "Take a photo" works without.');
  }
  const video = document.createElement('video');
  video.muted = video.playsInline = true;
  try {
    video.srcObject = await navigator.mediaDevices.getUserMedia({video: {facingMode: 'environment', width: {ideal: 640}}});
  } catch (error) {
    throw new Error(REFUSED[error.name] ?? `The camera cannot be used: ${error.message}`);
  }
  await video.play();
  return video;
}
