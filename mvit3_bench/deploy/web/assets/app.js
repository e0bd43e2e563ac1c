// The page: takes a picture from somewhere, shows what the model finds in it, and how long that takes.
import {camera, decode, dropped, pixelsOf} from './pictures.js';
import {prepare} from './preprocess.js';
import {draw, found, list} from './results.js';
import {measure, open, summary} from './session.js';

const element = id => document.getElementById(id);
const milliseconds = value => `${value.toFixed(value < 10 ? 1 : 0)} ms`;
const HEADINGS = {classification: 'Classes', detection: 'Objects', segmentation: 'Shares of the area'};
const BACKENDS = {webgpu: 'WebGPU', wasm: 'WebAssembly'};

const manifest = await (await fetch('model.json')).json();
const stage = element('stage').getContext('2d', {willReadFrequently: true});
let [session, shown, stream, latency, busy, running] = [null, null, null, null, false, null];

function complain(message = '') {
  element('problem').textContent = message;
  element('problem').hidden = !message;
}

function show() {
  const {picture, outputs, region, times} = shown;
  const entries = found(manifest, outputs, region, Number(element('threshold').value));
  stage.canvas.width = picture.width;
  stage.canvas.height = picture.height;
  stage.putImageData(picture, 0, 0);
  draw(stage, manifest, outputs, region, entries);
  list(element('list'), manifest, entries);
  element('nothing').hidden = entries.length > 0;
  element('times').textContent = `preparing the picture ${milliseconds(times.prepare)}, network ${milliseconds(times.network)}`;
}

// One picture (ImageData) through the model.
async function see(picture, name) {
  const start = performance.now();
  const {tensor, region} = prepare(picture, manifest.preprocess);
  const prepared = performance.now();
  const outputs = await session.run(tensor);
  const times = {prepare: prepared - start, network: performance.now() - prepared};
  shown = {picture, name, tensor, region, outputs, times};
  show();
  return times;
}

// Run something that the user asked for, one at a time, but the camera makes way; what goes wrong is told.
async function act(work) {
  if (!session || (busy && !stream)) return;
  stop();
  await running; // the camera's last picture
  if (busy) return;
  busy = true;
  complain();
  running = work().catch(error => complain(error.message)).finally(() => { busy = false; });
  await running;
}

async function seeFile(file, name) {
  if (!file) return;
  await see(pixelsOf(await decode(file)), name ?? file.name);
}

const example = async () => (await fetch(manifest.example)).blob();

function stop() {
  stream?.getTracks().forEach(track => track.stop());
  stream = null;
  element('camera').setAttribute('aria-pressed', false);
}

async function live() {
  const video = await camera();
  stream = video.srcObject;
  element('camera').setAttribute('aria-pressed', true);
  const times = [];
  while (stream === video.srcObject && stream.active) {
    times.push((await see(pixelsOf(video), 'camera')).network);
    const {median, p90, runs} = summary(times.slice(-50));
    element('latency').textContent = `live: median ${milliseconds(median)}, p90 ${milliseconds(p90)} of the last ${runs}`;
    await new Promise(requestAnimationFrame);
  }
}

async function measureShown() {
  const output = element('latency');
  latency = await measure(session, shown.tensor, {}, count => { output.textContent = `run ${count}`; });
  const {median, p90, runs} = summary(latency);
  output.textContent = `median ${milliseconds(median)}, p90 ${milliseconds(p90)} over ${runs} runs of the network`;
}

function record() {
  const {name, picture, outputs, region, times} = shown;
  return {
    name: manifest.name, task: manifest.task, made_by: manifest.made_by, origin: manifest.origin, runtime: manifest.runtime,
    backend: session.kind, device: session.device, why_not_webgpu: session.reason, threads: session.threads,
    browser: navigator.userAgent, cores: navigator.hardwareConcurrency,
    largest_difference: session.difference.worst, equal_labels: session.difference.equal,
    latency_ms: latency && {...summary(latency), times: latency},
    picture: {name, width: picture.width, height: picture.height}, prepare_ms: times.prepare, region, outputs,
  };
}

function save() {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([JSON.stringify(record())], {type: 'application/json'}));
  link.download = `${manifest.name}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function listen() {
  for (const id of ['photo', 'picture']) {
    element(id).addEventListener('change', ({target}) => {
      const [file] = target.files;
      target.value = ''; // the same file again is a change, too
      act(() => seeFile(file));
    });
  }
  element('example').addEventListener('click', () => act(async () => seeFile(await example(), 'example')));
  element('camera').addEventListener('click', () => stream ? stop() : act(live).finally(stop));
  element('measure').addEventListener('click', () => act(measureShown));
  element('save').addEventListener('click', save);
  element('threshold').addEventListener('input', () => {
    element('threshold').nextElementSibling.value = element('threshold').value;
    if (shown) show();
  });
  const figure = document.querySelector('figure');
  for (const [event, over] of [['dragover', true], ['dragleave', false], ['drop', false]]) {
    figure.addEventListener(event, action => {
      action.preventDefault();
      figure.classList.toggle('over', over);
      if (event === 'drop') act(async () => seeFile(await dropped(action.dataTransfer)));
    });
  }
}

function describe() {
  const [rows, columns] = manifest.preprocess.size;
  document.title = element('title').textContent = manifest.name;
  element('about').textContent = `${manifest.task}, ${manifest.classes.length} classes, ${columns}x${rows} pixels; ${manifest.origin}`;
  element('heading').textContent = HEADINGS[manifest.task];
  element('score').hidden = manifest.task !== 'detection';
  element('threshold').value = manifest.threshold;
  element('threshold').nextElementSibling.value = manifest.threshold;
  element('seen').textContent = manifest.seen;
}

function tellBackend() {
  const {kind, device, reason, threads, difference} = session;
  const where = kind === 'wasm' ? `${BACKENDS.wasm} on the processor, ${threads} thread${threads > 1 ? 's' : ''}` : `${BACKENDS.webgpu}: ${device}`;
  element('status').textContent = `Ready. ${where}${reason ? `, because ${reason}` : ''}.`;
  const labels = 'labels' in manifest.outputs ? `${(100 * difference.equal).toFixed(2)} % of the labels are equal` : '';
  const scores = 'scores' in manifest.outputs ? `the scores differ by at most ${difference.worst.toExponential(1)} standard deviations` : '';
  element('check').textContent = `Against PyTorch on the example picture: ${[scores, labels].filter(Boolean).join(', ')}.`;
}

async function begin() {
  describe();
  const picture = pixelsOf(await decode(await example()));
  const expected = await (await fetch(manifest.expected)).json();
  const {tensor} = prepare(picture, manifest.preprocess);
  const wanted = new URLSearchParams(location.search).get('backend');
  session = await open(manifest, {tensor, expected}, wanted, received => {
    element('status').textContent = `Loading the model: ${(received / 1e6).toFixed(1)} of ${(manifest.bytes / 1e6).toFixed(1)} MB`;
  });
  tellBackend();
  listen();
  await see(picture, 'example');
  document.body.dataset.state = 'ready';
}

await begin().catch(error => {
  element('status').textContent = 'The model cannot run in this browser.';
  complain(error.message);
  document.body.dataset.state = 'failed';
});
