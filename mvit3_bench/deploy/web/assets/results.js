// What the network found: in words, as a list, and drawn over the picture.

const ALPHA = 0.55;
const TOP = 5;

export function colour(manifest, label) {
  const known = manifest.palette?.[label];
  return known ? `rgb(${known.join(' ')})` : `hsl(${(label * 137.5) % 360} 75% 50%)`;
}

const percent = share => `${(100 * share).toFixed(1)} %`;

// The best classes: [{label, name, value, text}].
function topClasses(manifest, {scores}) {
  return scores.data.map((value, label) => ({label, value}))
    .sort((one, other) => other.value - one.value).slice(0, TOP)
    .map(each => ({...each, name: manifest.classes[each.label], text: percent(each.value)}));
}

// Boxes in pixels of the picture, best first: [{label, name, value, text, box: [x, y, width, height]}].
export function detections(manifest, {boxes, scores, labels}, region, threshold) {
  const [across, down] = [region.width / region.columns, region.height / region.rows];
  return labels.data.map((label, index) => ({label, value: scores.data[index], index}))
    .filter(each => each.label >= 0 && each.value >= threshold)
    .map(({label, value, index}) => {
      const [left, top, right, bottom] = boxes.data.slice(4 * index, 4 * index + 4);
      const box = [region.x + left * across, region.y + top * down, (right - left) * across, (bottom - top) * down];
      return {label, value, box, name: manifest.classes[label], text: percent(value)};
    });
}

// Share of each class in the part of the labels that shows the picture.
function shares(manifest, {labels}, region) {
  const columns = labels.dims[2];
  const counts = new Map();
  for (let y = 0; y < region.rows; y++) {
    for (let x = 0; x < region.columns; x++) {
      const label = labels.data[y * columns + x];
      counts.set(label, (counts.get(label) ?? 0) + 1);
    }
  }
  return [...counts].sort((one, other) => other[1] - one[1]).map(([label, count]) => {
    const value = count / (region.rows * region.columns);
    return {label, value, name: manifest.classes[label] ?? `class ${label}`, text: percent(value)};
  });
}

export function found(manifest, outputs, region, threshold) {
  if (manifest.task === 'detection') return detections(manifest, outputs, region, threshold);
  return manifest.task === 'classification' ? topClasses(manifest, outputs) : shares(manifest, outputs, region);
}

// A list with a bar for each entry.
export function list(element, manifest, entries) {
  element.replaceChildren(...entries.slice(0, 20).map(({label, name, value, text}) => {
    const item = document.createElement('li');
    const [title, number, bar] = ['span', 'span', 'i'].map(kind => document.createElement(kind));
    title.textContent = name;
    title.className = 'name';
    number.textContent = text;
    bar.style.transform = `scaleX(${value})`;
    item.style.setProperty('--colour', colour(manifest, label));
    item.append(title, number, bar);
    return item;
  }));
}

function drawBoxes(context, manifest, entries) {
  const unit = Math.max(context.canvas.width, context.canvas.height) / 400;
  context.lineWidth = 2 * unit;
  context.font = `600 ${12 * unit}px system-ui, sans-serif`;
  context.textBaseline = 'top';
  for (const {label, name, text, box: [x, y, width, height]} of [...entries].reverse()) { // the best on top
    context.strokeStyle = context.fillStyle = colour(manifest, label);
    context.strokeRect(x, y, width, height);
    const words = `${name} ${text}`;
    const across = context.measureText(words).width + 6 * unit;
    const [left, top] = [Math.max(0, Math.min(x, context.canvas.width - across)), Math.max(0, y - 16 * unit)];
    context.fillRect(left, top, across, 16 * unit);
    context.fillStyle = '#fff';
    context.fillText(words, left + 3 * unit, top + 2 * unit);
  }
}

function drawMask(context, manifest, {labels}, region) {
  const columns = labels.dims[2];
  const mask = new OffscreenCanvas(region.columns, region.rows);
  const brush = mask.getContext('2d', {willReadFrequently: true});
  const colours = new Map([[manifest.classes.indexOf('background'), [0, 0, 0, 0]]]);
  for (const label of new Set(labels.data)) { // the browser reads the colours
    if (colours.has(label)) continue;
    brush.fillStyle = colour(manifest, label);
    brush.fillRect(0, 0, 1, 1);
    colours.set(label, brush.getImageData(0, 0, 1, 1).data);
  }
  const pixels = brush.createImageData(region.columns, region.rows);
  for (let y = 0; y < region.rows; y++) {
    for (let x = 0; x < region.columns; x++) {
      pixels.data.set(colours.get(labels.data[y * columns + x]), 4 * (y * region.columns + x));
    }
  }
  brush.putImageData(pixels, 0, 0);
  context.save();
  context.globalAlpha = ALPHA;
  context.imageSmoothingEnabled = false;
  context.drawImage(mask, region.x, region.y, region.width, region.height);
  context.restore();
}

// What the network does not see of the picture is shaded.
function shade(context, region) {
  const {width, height} = context.canvas;
  context.fillStyle = 'rgb(0 0 0 / 50%)';
  context.beginPath();
  context.rect(0, 0, width, height);
  context.rect(region.x, region.y, region.width, region.height);
  context.fill('evenodd');
}

export function draw(context, manifest, outputs, region, entries) {
  shade(context, region);
  if (manifest.task === 'detection') drawBoxes(context, manifest, entries);
  if (manifest.task === 'segmentation') drawMask(context, manifest, outputs, region);
}
