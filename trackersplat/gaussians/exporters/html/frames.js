// Frames of the file as arrays for the graphics card. Key frames hold codes, the others what changed since the frame before.

const CACHE_BYTES = 512 * 2 ** 20;
const ATTRIBUTES = ['means', 'quats', 'log_scales', 'opacity_logits', 'sh_dc'];

async function inflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function bytesOf(element) {
  const text = atob(element.textContent.trim());
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

class Frames {
  constructor(scene) {
    this.scene = scene;
    this.count = scene.frames.length;
    this.gaussians = scene.gaussians;
    this.cache = new Map(); // frame -> {geometry: Uint32Array (4 per Gaussian), colours: Uint8Array (4 per Gaussian)}
    this.codes = null; // attribute -> codes, component after component
    this.at = -1; // the frame that they are of
    this.working = null;
  }

  ready(frame) {
    return this.cache.has(frame);
  }

  // The frame if it is unpacked; otherwise undefined, and it will be.
  get(frame) {
    const found = this.cache.get(frame);
    if (found) {
      this.cache.delete(frame); // the one used last goes last
      this.cache.set(frame, found);
    }
    return found;
  }

  // Unpacks a frame. One at a time: each needs the codes of the one before it.
  async load(frame) {
    while (this.working) await this.working;
    if (this.cache.has(frame)) return;
    this.working = this.unpack(frame);
    try {
      await this.working;
    } finally {
      this.working = null;
    }
  }

  async unpack(frame) {
    const every = this.scene.key_frame_every;
    const key = frame - (frame % every);
    if (this.at < key || this.at > frame) this.at = key - 1;
    while (this.at < frame) {
      const next = this.at + 1;
      await this.step(next, next % every === 0);
      this.at = next;
      if (!this.cache.has(next)) this.keep(next, this.packed());
    }
    if (!this.cache.has(frame)) this.keep(frame, this.packed()); // it was thrown out, but the codes are still its own
  }

  async step(frame, isKey) {
    const bytes = bytesOf(document.getElementById('frame' + frame));
    const codes = isKey ? {} : this.codes;
    let begin = 0;
    for (const [index, name] of ATTRIBUTES.entries()) {
      const size = this.scene.frames[frame].bytes[index];
      const content = await inflated(bytes.subarray(begin, begin + size));
      begin += size;
      const { levels, low } = this.scene.ranges[name];
      const length = this.gaussians * low.length, wide = levels > 255;
      if (content.length !== length * (wide ? 2 : 1)) throw new Error(`frame ${frame + 1} is damaged`);
      const values = wide ? new Uint16Array(length) : content;
      if (wide) for (let i = 0; i < length; i++) values[i] = content[i] | (content[length + i] << 8);
      const before = codes[name];
      if (!isKey) for (let i = 0; i < length; i++) values[i] += before[i]; // wraps around, as it was written
      codes[name] = values;
    }
    this.codes = codes;
  }

  // Interleaved: x | y, z | opacity, w | x | y | z of the rotation, three scales.
  packed() {
    const n = this.gaussians, { means, quats, log_scales: scales, opacity_logits: opacities, sh_dc: dc } = this.codes;
    const geometry = new Uint32Array(4 * n), colours = new Uint8Array(4 * n);
    for (let i = 0, o = 0; i < n; i++, o += 4) {
      geometry[o] = means[i] | (means[n + i] << 16);
      geometry[o + 1] = means[2 * n + i] | (opacities[i] << 16);
      geometry[o + 2] = quats[i] | (quats[n + i] << 8) | (quats[2 * n + i] << 16) | (quats[3 * n + i] << 24);
      geometry[o + 3] = scales[i] | (scales[n + i] << 8) | (scales[2 * n + i] << 16);
      colours[o] = dc[i];
      colours[o + 1] = dc[n + i];
      colours[o + 2] = dc[2 * n + i];
    }
    return { geometry, colours };
  }

  keep(frame, packed) {
    this.cache.set(frame, packed);
    const most = Math.max(2, Math.floor(CACHE_BYTES / (20 * Math.max(this.gaussians, 1))));
    while (this.cache.size > most) this.cache.delete(this.cache.keys().next().value);
  }
}
