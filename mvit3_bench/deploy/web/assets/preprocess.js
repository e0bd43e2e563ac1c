// A picture as the network sees it. The resizing is done by hand, with the arithmetic of the library that the test pipeline
// names, because a canvas smooths in its own way. `image` is {data, width, height} with RGBA bytes, as a canvas gives.

const COEFFICIENT = 2048; // OpenCV's bilinear weights have 11 bits
const PILLOW_BITS = 22;

// To the nearest whole number, and from the middle to the even one: as C and Python round.
export function roundEven(value) {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
}

const clip = (value, least, most) => Math.min(Math.max(value, least), most);

// For each output pixel of an axis, in OpenCV: the input pixel on its left, and its distance behind that one.
function opencvPlaces(from, to) {
  const scale = 1 / (to / from);
  return Array.from({length: to}, (_, index) => {
    const place = Math.fround((index + 0.5) * scale - 0.5);
    return [Math.floor(place), Math.fround(place - Math.floor(place))];
  });
}

// Two taps a pixel. Beyond the edges the columns have weight 0, the rows are repeated: the sums are cut at the same bits.
function linearTaps(from, to, repeat) {
  return opencvPlaces(from, to).map(([left, distance]) => {
    const outside = !repeat && (left < 0 || left >= from - 1);
    const share = outside ? 0 : distance;
    const first = clip(left, 0, from - 1);
    return {
      places: [first, clip(left + 1, outside ? first : 0, from - 1)],
      weights: [roundEven(Math.fround((1 - share) * COEFFICIENT)), roundEven(Math.fround(share * COEFFICIENT))],
    };
  });
}

function cubicTaps(from, to) {
  const near = x => (1.25 * x - 2.25) * x * x + 1; // Keys' kernel with a = -0.75
  const far = x => ((-0.75 * x + 3.75) * x - 6) * x + 3;
  return opencvPlaces(from, to).map(([left, x]) => {
    const weights = [far(x + 1), near(x), near(1 - x)].map(Math.fround);
    weights.push(1 - weights[0] - weights[1] - weights[2]);
    return {places: [-1, 0, 1, 2].map(step => clip(left + step, 0, from - 1)), weights};
  });
}

const PILLOW = {
  bilinear: [1, x => Math.max(0, 1 - Math.abs(x))],
  bicubic: [2, x => { // a = -0.5
    x = Math.abs(x);
    return x < 1 ? (1.5 * x - 2.5) * x * x + 1 : x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
  }],
};

// As many taps as the filter covers when it is widened by the factor of shrinking.
function pillowTaps(from, to, interpolation) {
  const [reach, filter] = PILLOW[interpolation];
  const scale = from / to;
  const widened = Math.max(scale, 1);
  return Array.from({length: to}, (_, index) => {
    const centre = (index + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - reach * widened + 0.5));
    const end = Math.min(from, Math.trunc(centre + reach * widened + 0.5));
    const shares = Array.from({length: end - first}, (_, step) => filter((first + step - centre + 0.5) / widened));
    const sum = shares.reduce((total, share) => total + share, 0);
    return {first, weights: Int32Array.from(shares, share => Math.round(share / sum * 2 ** PILLOW_BITS))};
  });
}

// One row of RGBA, resized to RGB.
function resizeRow(row, taps, output) {
  taps.forEach(({places, weights}, x) => {
    for (let channel = 0; channel < 3; channel++) {
      let sum = 0;
      for (let tap = 0; tap < places.length; tap++) sum += row[places[tap] * 4 + channel] * weights[tap];
      output[3 * x + channel] = sum;
    }
  });
  return output;
}

// Both passes: each row once, when it is first needed; `finish` makes a row of bytes of the rows under the taps.
function resizeBy(image, columns, rows, makeRow, finish) {
  const width = columns.length;
  const result = new Uint8ClampedArray(3 * width * rows.length);
  const kept = new Map();
  const rowAt = y => {
    if (!kept.has(y)) kept.set(y, makeRow(image.data.subarray(4 * image.width * y, 4 * image.width * (y + 1))));
    return kept.get(y);
  };
  rows.forEach(({places, weights}, y) => {
    for (const old of kept.keys()) if (old < places[0]) kept.delete(old);
    finish(places.map(rowAt), weights, result.subarray(3 * width * y, 3 * width * (y + 1)));
  });
  return {data: result, width, height: rows.length, channels: 3};
}

function opencvLinear(image, width, height) {
  const columns = linearTaps(image.width, width, false);
  return resizeBy(
    image, columns, linearTaps(image.height, height, true),
    row => resizeRow(row, columns, new Int32Array(3 * width)),
    ([above, below], [upper, lower], output) => {
      for (let i = 0; i < output.length; i++) {
        output[i] = ((upper * (above[i] >> 4) >> 16) + (lower * (below[i] >> 4) >> 16) + 2) >> 2;
      }
    });
}

function opencvCubic(image, width, height) {
  const columns = cubicTaps(image.width, width);
  return resizeBy(
    image, columns, cubicTaps(image.height, height), row => resizeRow(row, columns, new Float32Array(3 * width)),
    (lines, weights, output) => {
      for (let i = 0; i < output.length; i++) {
        output[i] = roundEven(lines.reduce((sum, line, tap) => sum + line[i] * weights[tap], 0));
      }
    });
}

// One axis of bytes resized: `lines` lie `lineStep` apart, the pixels of one `step` apart, of which three channels count.
function pillowPass(data, output, taps, lines, {lineStep, step, outLineStep, outStep}) {
  for (let line = 0; line < lines; line++) {
    for (let index = 0; index < taps.length; index++) {
      const {first, weights} = taps[index];
      for (let channel = 0; channel < 3; channel++) {
        let place = line * lineStep + first * step + channel;
        let sum = 2 ** (PILLOW_BITS - 1);
        for (let tap = 0; tap < weights.length; tap++, place += step) sum += data[place] * weights[tap];
        output[line * outLineStep + index * outStep + channel] = sum >> PILLOW_BITS;
      }
    }
  }
  return output;
}

function pillowAcross(data, width, height, to, interpolation) {
  const steps = {lineStep: 4 * width, step: 4, outLineStep: 4 * to, outStep: 4};
  return pillowPass(data, new Uint8ClampedArray(4 * to * height), pillowTaps(width, to, interpolation), height, steps);
}

function pillowDown(data, width, height, to, interpolation) {
  const steps = {lineStep: 4, step: 4 * width, outLineStep: 4, outStep: 4 * width};
  return pillowPass(data, new Uint8ClampedArray(4 * to * width), pillowTaps(height, to, interpolation), width, steps);
}

// Pillow keeps bytes between the two passes. Pillow 13 begins with the rows where they lose more than twice as many pixels.
function pillow(image, width, height, interpolation) {
  let data = image.data;
  const lost = [image.height - height, image.width - width];
  if (lost[0] > 0 && lost[0] > 2 * lost[1]) {
    data = pillowDown(data, image.width, image.height, height, interpolation);
    data = pillowAcross(data, image.width, height, width, interpolation);
  } else {
    data = pillowAcross(data, image.width, image.height, width, interpolation);
    data = pillowDown(data, width, image.height, height, interpolation);
  }
  return {data, width, height, channels: 4};
}

// RGBA bytes of any size -> bytes of another, RGB or RGBA as `channels` says.
export function resize(image, width, height, library, interpolation) {
  if (library === 'pillow') return pillow(image, width, height, interpolation);
  if (library === 'opencv') return (interpolation === 'bicubic' ? opencvCubic : opencvLinear)(image, width, height);
  throw new Error(`no resizing by ${library}`);
}

// The size that a picture is resized to, and where the network's input begins in that.
export function geometry(width, height, {kind, edge, size: [rows, columns]}) {
  if (kind === 'stretch') return {width: columns, height: rows, left: 0, top: 0};
  if (kind === 'fit') {
    const scale = Math.min(columns / width, rows / height);
    const side = length => Math.max(1, Math.floor(length * scale + 0.5));
    return {width: side(width), height: side(height), left: 0, top: 0};
  }
  const [newWidth, newHeight] = width < height
    ? [edge, Math.floor(edge * height / width)] : [Math.floor(edge * width / height), edge];
  const start = (length, wanted) => Math.max(0, roundEven((length - wanted) / 2));
  return {width: newWidth, height: newHeight, left: start(newWidth, columns), top: start(newHeight, rows)};
}

// RGBA bytes -> {tensor: RGB planes of 0 .. 255 in float32, region}: the part of the picture, in its own pixels, that the
// first `columns` x `rows` pixels of the input show; the rest of them, if there is any, is black.
export function prepare(image, spec) {
  const [rows, columns] = spec.size;
  const {width, height, left, top} = geometry(image.width, image.height, spec);
  const resized = resize(image, width, height, spec.library, spec.interpolation);
  const tensor = new Float32Array(3 * rows * columns);
  const shown = {columns: Math.min(columns, width - left), rows: Math.min(rows, height - top)};
  for (let y = 0; y < shown.rows; y++) {
    for (let x = 0; x < shown.columns; x++) {
      const from = resized.channels * ((y + top) * width + x + left);
      for (let channel = 0; channel < 3; channel++) {
        tensor[(channel * rows + y) * columns + x] = resized.data[from + channel];
      }
    }
  }
  const [across, down] = [image.width / width, image.height / height];
  const region = {...shown, x: left * across, y: top * down, width: shown.columns * across, height: shown.rows * down};
  return {tensor, region};
}
