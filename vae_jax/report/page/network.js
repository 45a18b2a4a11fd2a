// The runs' networks: encoder and decoder of vae_jax/model/networks.py as functions of typed arrays. It touches no document.
"use strict";

const Network = (() => {
  // Bytes of base64 text.
  function bytes(text) {
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
    const binary = atob(text);
    const result = new Uint8Array(binary.length);
    for (let i = 0; i < binary.length; i++) result[i] = binary.charCodeAt(i);
    return result;
  }

  // The bytes of deflated ones.
  async function inflate(content) {
    const stream = new Blob([content]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  // Little-endian float32 values of base64 text.
  function floats(text) {
    const view = new DataView(bytes(text).buffer);
    return Float32Array.from({ length: view.byteLength / 4 }, (_, i) => view.getFloat32(4 * i, true));
  }

  // The float32 value of each of the 65,536 float16 values.
  let halves = null;
  function makeHalves() {
    const table = new Float32Array(65536);
    for (let bits = 0; bits < 65536; bits++) {
      const sign = bits & 0x8000 ? -1 : 1;
      const exponent = (bits >> 10) & 31;
      const fraction = bits & 1023;
      if (exponent === 0) table[bits] = sign * fraction * 2 ** -24;
      else if (exponent === 31) table[bits] = fraction ? NaN : sign * Infinity;
      else table[bits] = sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
    }
    return table;
  }

  // The parameters of a run by their paths, such as "encoder/mean/kernel": {shape, values}. All low bytes come first.
  function readParams(run, content) {
    halves ??= makeHalves();
    const params = new Map();
    const count = content.length / 2;
    let offset = 0;
    for (const [name, shape] of run.params) {
      const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
      for (let i = 0; i < values.length; i++, offset++) {
        values[i] = halves[content[offset] | (content[count + offset] << 8)];
      }
      params.set(name, { shape, values });
    }
    return params;
  }

  // Linen's functions; its gelu is the approximation by tanh.
  const ACTIVATIONS = {
    relu: (x) => (x > 0 ? x : 0),
    tanh: Math.tanh,
    gelu: (x) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x * x * x))),
    silu: (x) => x / (1 + Math.exp(-x)),
    elu: (x) => (x > 0 ? x : Math.expm1(x)),
    leaky_relu: (x) => (x > 0 ? x : 0.01 * x),
  };

  function activate(values, activation) {
    const f = ACTIVATIONS[activation];
    for (let i = 0; i < values.length; i++) values[i] = f(values[i]);
    return values;
  }

  // y = x W + b; a row of W is read in order, and rows of inputs that are 0 (dark pixels, ReLU) are left out.
  function dense(x, { kernel, bias }) {
    const [inputs, outputs] = kernel.shape;
    const y = Float32Array.from(bias.values);
    const w = kernel.values;
    for (let i = 0; i < inputs; i++) {
      const value = x[i];
      if (value === 0) continue;
      const row = i * outputs;
      for (let j = 0; j < outputs; j++) y[j] += value * w[row + j];
    }
    return y;
  }

  // A 3 x 3 convolution of stride 2 with SAME padding; images are [height, width, channels].
  function conv(x, { kernel, bias }) {
    const [, , inputs, outputs] = kernel.shape;
    const height = Math.ceil(x.height / 2), width = Math.ceil(x.width / 2);
    // SAME pads an even side at its end only.
    const top = x.height % 2, left = x.width % 2;
    const values = new Float32Array(height * width * outputs);
    const w = kernel.values;
    for (let r = 0; r < height; r++) {
      for (let c = 0; c < width; c++) {
        const out = (r * width + c) * outputs;
        for (let j = 0; j < outputs; j++) values[out + j] = bias.values[j];
        for (let kr = 0; kr < 3; kr++) {
          const row = 2 * r + kr - top;
          if (row < 0 || row >= x.height) continue;
          for (let kc = 0; kc < 3; kc++) {
            const column = 2 * c + kc - left;
            if (column < 0 || column >= x.width) continue;
            addProduct(x.values, (row * x.width + column) * inputs, inputs, w, (kr * 3 + kc) * inputs * outputs,
              values, out, outputs);
          }
        }
      }
    }
    return { height, width, values };
  }

  // A 3 x 3 transposed convolution of stride 2: pixel (r, c) goes to rows 2 r + 2 - k, and [H, W] becomes [2 H, 2 W].
  function convTranspose(x, { kernel, bias }) {
    const [, , inputs, outputs] = kernel.shape;
    const height = 2 * x.height, width = 2 * x.width;
    const values = new Float32Array(height * width * outputs);
    const w = kernel.values;
    for (let i = 0; i < values.length; i++) values[i] = bias.values[i % outputs];
    for (let r = 0; r < x.height; r++) {
      for (let c = 0; c < x.width; c++) {
        const start = (r * x.width + c) * inputs;
        for (let kr = 0; kr < 3; kr++) {
          const row = 2 * r + 2 - kr;
          if (row >= height) continue;
          for (let kc = 0; kc < 3; kc++) {
            const column = 2 * c + 2 - kc;
            if (column >= width) continue;
            addProduct(x.values, start, inputs, w, (kr * 3 + kc) * inputs * outputs,
              values, (row * width + column) * outputs, outputs);
          }
        }
      }
    }
    return { height, width, values };
  }

  // y[to ...] += x[from ...] W, for the matrix W [inputs, outputs] that begins at `at`.
  function addProduct(x, from, inputs, w, at, y, to, outputs) {
    for (let i = 0; i < inputs; i++) {
      const value = x[from + i];
      if (value === 0) continue;
      const row = at + i * outputs;
      for (let j = 0; j < outputs; j++) y[to + j] += value * w[row + j];
    }
  }

  // E[x | z] of a pixel: the sigmoid, or the mean of a continuous Bernoulli; see `pixel_mean` in model/likelihoods.py.
  function pixelMean(logits, likelihood) {
    const continuous = likelihood === "continuous_bernoulli";
    for (let i = 0; i < logits.length; i++) {
      const l = logits[i];
      if (!continuous) logits[i] = 1 / (1 + Math.exp(-l));
      else logits[i] = Math.abs(l) < 0.05 ? 0.5 + l / 12 : -1 / Math.expm1(-l) - 1 / l;
    }
    return logits;
  }

  class Run {
    // A run of the page's data with its inflated weights, which become numbers when they are first needed.
    constructor(content, weights) {
      this.content = content;
      this.weights = weights;
      this.latentDim = content.latent_dim;
      [this.height, this.width, this.channels = 1] = content.image_shape;
      this.mean = floats(content.mean);
      this.logvar = content.logvar === null ? null : floats(content.logvar);
    }

    get params() {
      return (this.cachedParams ??= readParams(this.content, this.weights));
    }

    layer(path) {
      const kernel = this.params.get(`${path}/kernel`);
      return kernel && { kernel, bias: this.params.get(`${path}/bias`) };
    }

    hidden(half, x) {
      for (let i = 0, layer; (layer = this.layer(`${half}/hidden_${i}`)); i++) {
        x = activate(dense(x, layer), this.content.activation);
      }
      return x;
    }

    // Pixels in [0, 1], Float32Array [H * W] or [H * W * 3] in rows, to {mean, logvar}; the logvar of a model without noise is null.
    encode(pixels) {
      let x = { height: this.height, width: this.width, values: pixels };
      for (let i = 0, layer; (layer = this.layer(`encoder/conv_${i}`)); i++) {
        x = conv(x, layer);
        activate(x.values, this.content.activation);
      }
      const h = this.hidden("encoder", x.values);
      const mean = dense(h, this.layer("encoder/mean"));
      const head = this.layer("encoder/logvar");
      if (head) return { mean, logvar: dense(h, head) };
      const fixed = this.content.fixed_logvar;
      return { mean, logvar: fixed === null ? null : new Float32Array(this.latentDim).fill(fixed) };
    }

    // A code, [latentDim], to mean pixels in [0, 1], Float32Array [H * W] or [H * W * 3] in rows.
    decode(z) {
      let x = this.hidden("decoder", z);
      const unflatten = this.layer("decoder/unflatten");
      if (!unflatten) return pixelMean(dense(x, this.layer("decoder/logits")), this.content.likelihood);
      x = activate(dense(x, unflatten), this.content.activation);
      const layers = [];
      for (let i = 0, layer; (layer = this.layer(`decoder/conv_${i}`)); i++) layers.push(layer);
      const halved = 2 ** (layers.length + 1);
      let image = { height: Math.ceil(this.height / halved), width: Math.ceil(this.width / halved), values: x };
      for (const layer of layers) {
        image = convTranspose(image, layer);
        activate(image.values, this.content.activation);
      }
      image = convTranspose(image, this.layer("decoder/logits"));
      const length = this.width * this.channels;
      const logits = new Float32Array(this.height * length);
      for (let row = 0; row < this.height; row++) {
        const start = row * image.width * this.channels;
        logits.set(image.values.subarray(start, start + length), row * length);
      }
      return pixelMean(logits, this.content.likelihood);
    }

    // The posterior of image i of the page's images.
    posterior(i) {
      const range = [i * this.latentDim, (i + 1) * this.latentDim];
      const fixed = this.content.fixed_logvar;
      let logvar = this.logvar && this.logvar.slice(...range);
      if (!logvar && fixed !== null) logvar = new Float32Array(this.latentDim).fill(fixed);
      return { mean: this.mean.slice(...range), logvar };
    }

    // A draw of the sampler, "gaussian" or "mixture", from eps ~ N(0, I) and u ~ U(0, 1), which picks the component.
    sample(sampler, eps, u) {
      this.samplers ??= {};
      const { weights, means, factors } = (this.samplers[sampler] ??= {
        weights: this.content[sampler].weights,
        means: floats(this.content[sampler].means),
        factors: floats(this.content[sampler].factors),
      });
      const dims = this.latentDim;
      let k = 0;
      for (let sum = weights[0]; k < weights.length - 1 && u >= sum; sum += weights[k]) k++;
      const z = means.slice(k * dims, (k + 1) * dims);
      const isFull = factors.length === weights.length * dims * dims;
      for (let i = 0; i < dims; i++) {
        if (!isFull) z[i] += factors[k * dims + i] * eps[i];
        else for (let j = 0; j < dims; j++) z[i] += factors[(k * dims + i) * dims + j] * eps[j];
      }
      return z;
    }
  }

  // The run of the page's data.
  async function open(content) {
    return new Run(content, await inflate(bytes(content.weights)));
  }

  return { open, bytes, floats };
})();
