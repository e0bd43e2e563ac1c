// The network in onnxruntime-web: which backend runs it and why, one picture at a time, and how long that takes.

const CHECKED = 1e-2; // standard deviations; a GPU that differs by more on the example computes something else

// Why WebGPU cannot be used, or null if it can; `wanted` is 'webgpu', 'wasm' or null, from the page's address.
async function obstacle(wanted) {
  if (wanted === 'wasm') return 'the address asks for it';
  if (!navigator.gpu) {
    return isSecureContext ? 'this browser has no WebGPU' : 'browsers offer WebGPU to https and localhost only';
  }
  const adapter = await navigator.gpu.requestAdapter().catch(() => null);
  if (!adapter) return 'this browser finds no GPU that it can use';
  if (adapter.info?.isFallbackAdapter && wanted !== 'webgpu') return 'the only WebGPU here is computed by the processor';
  return null;
}

async function gpuName() {
  const {vendor, architecture, description} = (await navigator.gpu.requestAdapter()).info ?? {};
  return description || [vendor, architecture].filter(Boolean).join(' ') || 'GPU';
}

async function download(address, progress) {
  const answer = await fetch(address);
  if (!answer.ok) throw new Error(`${address}: ${answer.status} ${answer.statusText}`);
  const parts = [];
  let received = 0;
  for (const reader = answer.body.getReader(); ;) {
    const {done, value} = await reader.read();
    if (done) break;
    parts.push(value);
    received += value.length;
    progress(received);
  }
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}

class Session {
  constructor(ort, session, size, backend) {
    Object.assign(this, {ort, session, size, ...backend});
  }

  // Planes of a picture -> name -> {dims, data} of what the network gives; numbers, also where it gives 64-bit labels.
  async run(tensor) {
    const input = new this.ort.Tensor('float32', tensor, [1, 3, ...this.size]);
    const found = await this.session.run({[this.session.inputNames[0]]: input});
    const outputs = {};
    for (const [name, value] of Object.entries(found)) {
      const data = await value.getData();
      outputs[name] = {dims: value.dims, data: data instanceof BigInt64Array ? Array.from(data, Number) : Array.from(data)};
      value.dispose();
    }
    return outputs;
  }
}

async function create(kind, weights, manifest, backend) {
  const ort = await import(`./ort/ort.${kind}.min.mjs`);
  ort.env.logLevel = 'error';
  ort.env.wasm.wasmPaths = new URL('ort/', document.baseURI).href;
  ort.env.wasm.numThreads = backend.threads;
  const session = await ort.InferenceSession.create(weights, {
    executionProviders: [kind], freeDimensionOverrides: {batch: 1}, logSeverityLevel: 3});
  return new Session(ort, session, manifest.preprocess.size, {kind, ...backend});
}

// Largest difference of what a device computes from what PyTorch computes, and the share of labels that are equal.
export function difference(outputs, expected) {
  let worst = 0;
  let [equal, labels] = [0, 0];
  for (const [name, values] of Object.entries(expected)) {
    const found = outputs[name].data;
    if (name === 'labels') {
      labels += values.length;
      equal += values.reduce((count, value, index) => count + (value === found[index]), 0);
    } else if (name === 'scores') {
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
      const deviation = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, values.length - 1));
      const largest = values.reduce((most, value, index) => {
        const apart = Math.abs(value - found[index]);
        return apart <= most ? most : apart; // NaN wins
      }, 0);
      worst = largest / (deviation || 1);
    }
  }
  return {worst, equal: labels ? equal / labels : 1};
}

const agrees = found => found.worst < CHECKED && found.equal > 0.9; // of two boxes with equal scores either may come first

// The first backend that runs the model and, on the example (a tensor and what PyTorch makes of it), computes the same.
export async function open(manifest, example, wanted, progress) {
  const weights = await download(manifest.model, progress);
  let reason = await obstacle(wanted);
  if (!reason) {
    try {
      const session = await create('webgpu', weights, manifest, {threads: 1, device: await gpuName(), reason: ''});
      session.difference = difference(await session.run(example.tensor), example.expected);
      if (agrees(session.difference)) return session;
      reason = `WebGPU computes something else here (${session.difference.worst.toPrecision(2)} standard deviations)`;
    } catch (error) {
      reason = `WebGPU cannot run the model: ${error.message}`;
    }
  }
  const threads = crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency || 1) : 1;
  const session = await create('wasm', weights, manifest, {threads, device: 'processor', reason});
  session.difference = difference(await session.run(example.tensor), example.expected);
  return session;
}

export function percentile(times, share) {
  const sorted = [...times].sort((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

export const summary = times => ({median: percentile(times, 0.5), p90: percentile(times, 0.9), runs: times.length});

// Milliseconds of each run; some before do not count. It ends after `runs`, or after `limit` milliseconds.
export async function measure(session, tensor, {runs = 50, warmup = 5, limit = 15000} = {}, progress = () => {}) {
  const times = [];
  const start = performance.now();
  for (let index = -warmup; index < runs && (times.length < 5 || performance.now() - start < limit); index++) {
    const before = performance.now();
    await session.run(tensor);
    if (index >= 0) times.push(performance.now() - before);
    progress(times.length);
    await new Promise(done => setTimeout(done)); // lets the page draw
  }
  return times;
}
