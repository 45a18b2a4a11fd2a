// A latent plane: which two directions of a run's latent space are seen, and how they are drawn on a canvas.
"use strict";

const Plane = (() => {
  const TAU = 2 * Math.PI;
  const LENS = 130; // pixels of the side of a lens, at most
  const SHORT = 6, LONG = 12; // characters of the name of a class, on a small plane and on a large one
  const REPEATS = 3; // of a name of more than two characters

  // Near Paul Tol's "muted" scheme, which colour-blind readers can tell apart, at 3 : 1 on either ground.
  const CLASS_COLORS = {
    light: ["#332288", "#3a92c8", "#2b9382", "#117733", "#7d7d24", "#a8841a", "#cc5a6c", "#882255", "#aa4499", "#5a5a5a"],
    dark: ["#9a8cf0", "#88ccee", "#44b8a4", "#4cb86a", "#b9b950", "#ecd982", "#ee8c9a", "#d2588c", "#d884cc", "#b4b4b4"],
  };

  function classColor(rank, count, theme) {
    const colors = CLASS_COLORS[theme];
    if (count <= colors.length) return colors[rank];
    return `hsl(${Math.round((360 * rank) / count)} 60% ${theme === "dark" ? 68 : 40}%)`;
  }

  function dot(a, b) {
    let sum = 0;
    for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
    return sum;
  }

  function unit(dims, i) {
    const vector = new Float32Array(dims);
    vector[i] = 1;
    return vector;
  }

  // The directions a reader can choose: principal components of the codes, then latent dimensions, the widest first.
  function directions(run) {
    const { latentDim: dims, content } = run;
    if (dims <= 2) return [];
    const order = rank(run);
    const axes = Network.floats(content.axes);
    const components = [0, 1].map((k) => ({
      name: _("principal component {k}", { k: k + 1 }), vector: axes.slice(k * dims, (k + 1) * dims),
    }));
    return [...components, ...order.slice(0, 62).map(({ i, name }) => ({ name, vector: unit(dims, i) }))].map(
      (direction, index) => ({ ...direction, index }));
  }

  // Latent dimensions by their KL, or by the spread of their codes where codes are points: {i, name, low, high}.
  function rank(run) {
    const { latentDim: dims, mean, content } = run;
    const count = mean.length / dims;
    const spread = Array.from({ length: dims }, (_, i) => {
      let sum = 0, squares = 0;
      for (let n = 0; n < count; n++) {
        sum += mean[n * dims + i];
        squares += mean[n * dims + i] ** 2;
      }
      return Math.sqrt(Math.max(0, squares / count - (sum / count) ** 2));
    });
    const values = content.kl ?? spread;
    const lowest = (i, sign = 1) => {
      let least = Infinity;
      for (let n = 0; n < count; n++) least = Math.min(least, sign * mean[n * dims + i]);
      return least;
    };
    return Array.from({ length: dims }, (_, i) => i)
      .sort((i, j) => values[j] - values[i])
      .map((i) => ({
        i, low: Math.min(-3, lowest(i)), high: Math.max(3, -lowest(i, -1)),
        name: content.kl
          ? _("z{k} · KL {kl}", { k: i + 1, kl: values[i].toFixed(2) })
          : _("z{k} · sd {sd}", { k: i + 1, sd: values[i].toPrecision(2) }),
      }));
  }

  // The ellipse of one standard deviation of a covariance [[xx, xy], [xy, yy]]: {radii, angle}.
  function ellipseOf(xx, xy, yy) {
    const middle = (xx + yy) / 2, apart = Math.hypot((xx - yy) / 2, xy);
    return {
      radii: [Math.sqrt(middle + apart), Math.sqrt(Math.max(0, middle - apart))],
      angle: Math.atan2(2 * xy, xx - yy) / 2,
    };
  }

  // A vector, scaled along two axes at an angle.
  function scaled([x, y], [along, across], angle) {
    const cos = Math.cos(angle), sin = Math.sin(angle);
    const u = along * (cos * x + sin * y), v = across * (cos * y - sin * x);
    return [cos * u - sin * v, sin * u + cos * v];
  }

  class View {
    // What is seen of a run: places are [x, y] in the plane, codes are points of the latent space.
    constructor(run, across, up) {
      this.run = run;
      this.dims = run.latentDim;
      if (this.dims === 1) this.axes = [unit(1, 0), new Float32Array(1)];
      else if (this.dims === 2) {
        const rotation = run.content.rotation ? Network.floats(run.content.rotation) : [1, 0, 0, 1];
        this.axes = [Float32Array.of(rotation[0], rotation[1]), Float32Array.of(rotation[2], rotation[3])];
      } else this.axes = [across, up];
      this.count = run.mean.length / this.dims;
      this.places = new Float32Array(2 * this.count);
      for (let i = 0; i < this.count; i++) {
        const [x, y] = this.project(run.mean.subarray(i * this.dims, (i + 1) * this.dims));
        this.places[2 * i] = x;
        // One dimension is a line; its codes are spread across it, in bands.
        this.places[2 * i + 1] = this.dims === 1 ? (((i * 0.618034) % 1) - 0.5) * 3 : y;
      }
      this.box = this.bounds();
    }

    // The mean of the codes as they are seen, and the axes and standard deviations of their covariance.
    get moments() {
      if (this.cachedMoments) return this.cachedMoments;
      const sums = { x: 0, y: 0, xx: 0, xy: 0, yy: 0 };
      for (let i = 0; i < this.count; i++) {
        sums.x += this.places[2 * i] / this.count;
        sums.y += this.places[2 * i + 1] / this.count;
      }
      for (let i = 0; i < this.count; i++) {
        const dx = this.places[2 * i] - sums.x, dy = this.places[2 * i + 1] - sums.y;
        sums.xx += (dx * dx) / this.count;
        sums.xy += (dx * dy) / this.count;
        sums.yy += (dy * dy) / this.count;
      }
      const { radii, angle } = ellipseOf(sums.xx, sums.xy, sums.yy);
      return (this.cachedMoments = { mean: [sums.x, sums.y], radii: radii.map((sd) => Math.max(sd, 1e-6)), angle });
    }

    // A place in whitened coordinates, in which the codes that are seen have mean 0 and covariance I.
    whitened([x, y]) {
      const { mean, radii, angle } = this.moments;
      return scaled([x - mean[0], y - mean[1]], radii.map((sd) => 1 / sd), angle);
    }

    // The place of whitened coordinates.
    placed(whitened) {
      const { mean, radii, angle } = this.moments;
      const [x, y] = scaled(whitened, radii, angle);
      return [mean[0] + x, mean[1] + y];
    }

    project(z) {
      return [dot(this.axes[0], z), dot(this.axes[1], z)];
    }

    // The code nearest to z that is seen at this place.
    unproject([x, y], z) {
      const [a, b] = this.axes;
      const [x0, y0] = this.project(z);
      const aa = dot(a, a), ab = dot(a, b), bb = dot(b, b);
      const det = aa * bb - ab * ab;
      const dx = x - x0, dy = y - y0;
      let s = aa > 0 ? dx / aa : 0, t = 0;
      if (det > 1e-6) {
        s = (bb * dx - ab * dy) / det;
        t = (aa * dy - ab * dx) / det;
      }
      return Float32Array.from(z, (value, i) => value + s * a[i] + t * b[i]);
    }

    // The middle and the half sides of what is shown: 99 % of the codes, and N(0, I) out to 2.2 sd.
    bounds() {
      const sides = [0, 1].map((axis) => {
        const values = Float32Array.from({ length: this.count }, (_, i) => this.places[2 * i + axis]).sort();
        const low = Math.min(-2.2, values[Math.floor(0.005 * (this.count - 1))]);
        const high = Math.max(2.2, values[Math.ceil(0.995 * (this.count - 1))]);
        return [(low + high) / 2, 0.53 * (high - low)];
      });
      return { x: sides[0][0], y: sides[1][0], halfX: sides[0][1], halfY: sides[1][1] };
    }

    // The index of the image whose code is seen nearest to a place.
    nearestSeen([x, y]) {
      let best = 0, least = Infinity;
      for (let i = 0; i < this.count; i++) {
        const distance = (this.places[2 * i] - x) ** 2 + (this.dims === 1 ? 0 : (this.places[2 * i + 1] - y) ** 2);
        if (distance < least) [best, least] = [i, distance];
      }
      return best;
    }

    // The indices of the k images whose codes are nearest to z in the whole latent space.
    nearest(z, k) {
      const { mean } = this.run;
      const found = [];
      for (let i = 0; i < this.count; i++) {
        let distance = 0;
        for (let j = 0; j < this.dims; j++) distance += (mean[i * this.dims + j] - z[j]) ** 2;
        if (found.length < k || distance < found[found.length - 1].distance) {
          let at = found.length;
          while (at > 0 && found[at - 1].distance > distance) at--;
          found.splice(at, 0, { i, distance });
          if (found.length > k) found.pop();
        }
      }
      return found.map(({ i }) => i);
    }

    // The ellipse of one standard deviation of N(mean, exp(logvar)), as it is seen: {place, radii, angle}.
    ellipse({ mean, logvar }) {
      const c = [0, 0, 0];
      for (let i = 0; i < this.dims; i++) {
        const variance = Math.exp(logvar[i]);
        const a = this.axes[0][i], b = this.axes[1][i];
        c[0] += a * a * variance;
        c[1] += a * b * variance;
        c[2] += b * b * variance;
      }
      return { place: this.project(mean), ...ellipseOf(...c) };
    }
  }

  class Picture {
    // The canvas of one model. `paint` draws a view and what lies on it.
    constructor(canvas) {
      this.canvas = canvas;
      this.context = canvas.getContext("2d");
      this.base = document.createElement("canvas");
      this.key = "";
    }

    // Fits the canvas to its size on the page; returns whether there is anything to draw on.
    fit() {
      const { clientWidth, clientHeight } = this.canvas;
      const ratio = Math.min(3, window.devicePixelRatio || 1);
      const width = Math.round(clientWidth * ratio), height = Math.round(clientHeight * ratio);
      if (this.canvas.width !== width || this.canvas.height !== height) {
        for (const canvas of [this.canvas, this.base]) [canvas.width, canvas.height] = [width, height];
        this.key = "";
      }
      [this.width, this.height, this.ratio] = [clientWidth, clientHeight, ratio];
      return width > 0 && height > 0;
    }

    setBox(box) {
      this.box = box;
      this.scale = Math.min(this.width / (2 * box.halfX), this.height / (2 * box.halfY));
    }

    toPixel([x, y]) {
      return [this.width / 2 + (x - this.box.x) * this.scale, this.height / 2 - (y - this.box.y) * this.scale];
    }

    toPlace([px, py]) {
      return [this.box.x + (px - this.width / 2) / this.scale, this.box.y - (py - this.height / 2) / this.scale];
    }

    // Paints codes and circles once, and keeps them until the key changes.
    paintBase(key, look, places, marks, shade) {
      const context = this.base.getContext("2d");
      if (key === this.key) return;
      this.key = key;
      context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
      context.clearRect(0, 0, this.width, this.height);
      if (shade) this.paintShade(context, shade);
      this.paintScale(context, look);
      this.paintCodes(context, look, places, marks);
      this.paintPrior(context, look, marks.isLine);
    }

    paintShade(context, { image, box: [x0, y0, x1, y1] }) {
      const [left, bottom] = this.toPixel([x0, y0]), [right, top] = this.toPixel([x1, y1]);
      context.imageSmoothingEnabled = true;
      context.drawImage(image, left, top, right - left, bottom - top);
    }

    paintScale(context, look) {
      const span = Math.min(this.width, this.height) / this.scale;
      const power = 10 ** Math.floor(Math.log10(span / 3));
      const step = power * [1, 2, 5, 10].find((factor) => span / (power * factor) <= 5);
      const [left, top] = this.toPlace([0, 0]), [right, bottom] = this.toPlace([this.width, this.height]);
      context.font = `${look.small}px ${look.font}`;
      context.fillStyle = look.quiet;
      context.strokeStyle = look.line;
      context.lineWidth = 1;
      context.textBaseline = "bottom";
      context.textAlign = "center";
      const text = (value) => `${Number(value.toPrecision(6))}`.replace("-", "−");
      for (let x = Math.ceil(left / step) * step; x < right; x += step) {
        const [px] = this.toPixel([x, 0]);
        if (px < 14 || px > this.width - 14) continue;
        stroke(context, [[px, this.height], [px, this.height - 4]]);
        context.fillText(text(x), px, this.height - 5);
      }
      context.textBaseline = "middle";
      context.textAlign = "left";
      for (let y = Math.ceil(bottom / step) * step; y < top; y += step) {
        const [, py] = this.toPixel([0, y]);
        if (py < 10 || py > this.height - 22) continue;
        stroke(context, [[0, py], [4, py]]);
        context.fillText(text(y), 6, py);
      }
    }

    paintCodes(context, look, places, { ranks, names }) {
      const count = places.length / 2, classes = names.length;
      const size = this.width < 260 ? 1.5 : 2.1;
      context.globalAlpha = look.dotAlpha;
      for (let i = 0; i < count; i++) {
        const [x, y] = this.toPixel([places[2 * i], places[2 * i + 1]]);
        context.fillStyle = look.color(ranks ? ranks[i] : 0, classes);
        context.beginPath();
        context.arc(x, y, size, 0, TAU);
        context.fill();
      }
      context.globalAlpha = 1;
      if (!ranks) return;
      // The classes of codes that have room for the name, so that classes survive grey print and colour blindness.
      const radius = this.width < 260 ? 6 : 7.5;
      const taken = [], named = names.map(() => 0);
      const most = this.width < 260 ? 40 : 110;
      context.font = `600 ${1.35 * radius}px ${look.font}`;
      const texts = names.map((name) => Digits.short(name, this.width < 260 ? SHORT : LONG));
      const halves = texts.map((text) => Math.max(radius, context.measureText(text).width / 2 + 0.45 * radius));
      context.textAlign = "center";
      context.textBaseline = "middle";
      for (let i = 0; i < count && taken.length < most; i++) {
        const [x, y] = this.toPixel([places[2 * i], places[2 * i + 1]]);
        const text = texts[ranks[i]], half = halves[ranks[i]];
        if (x < half || y < radius || x > this.width - half || y > this.height - radius) continue;
        if (taken.some(([u, v, other]) => Math.abs(u - x) < 1.3 * (half + other) && Math.abs(v - y) < 2.6 * radius)) continue;
        if (text.length > 2 && named[ranks[i]]++ >= REPEATS) continue; // words would cover the codes
        taken.push([x, y, half]);
        context.globalAlpha = look.dotAlpha < 0.5 ? 0.55 : 1;
        context.fillStyle = look.color(ranks[i], classes);
        context.beginPath();
        context.arc(x - half + radius, y, radius, TAU / 4, -TAU / 4);
        context.arc(x + half - radius, y, radius, -TAU / 4, TAU / 4);
        context.fill();
        context.fillStyle = look.onColor;
        context.fillText(text, x, y + 0.5);
      }
      context.globalAlpha = 1;
    }

    paintPrior(context, look, isLine) {
      const [x, y] = this.toPixel([0, 0]);
      for (const radius of [1, 2]) {
        for (const [style, width] of [[look.ground, 3.5], [look.ink, 1.4]]) {
          context.strokeStyle = style;
          context.lineWidth = width;
          context.setLineDash(style === look.ink ? [5, 3] : []);
          if (isLine) {
            for (const side of [-radius, radius]) {
              const px = x + side * this.scale;
              stroke(context, [[px, 0], [px, this.height]]);
            }
          } else {
            context.beginPath();
            context.arc(x, y, radius * this.scale, 0, TAU);
            context.stroke();
          }
        }
      }
      context.setLineDash([]);
    }

    begin() {
      const { context } = this;
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.clearRect(0, 0, this.canvas.width, this.canvas.height);
      context.drawImage(this.base, 0, 0);
      context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    }

    // Where a place is seen: inside the canvas, or at its edge with the direction in which it lies.
    clamp(place) {
      const [x, y] = this.toPixel(place);
      const inside = [Math.min(this.width - 9, Math.max(9, x)), Math.min(this.height - 9, Math.max(9, y))];
      const isOut = Math.hypot(inside[0] - x, inside[1] - y) > 9;
      return { pixel: isOut ? inside : [x, y], isOut, angle: Math.atan2(y - inside[1], x - inside[0]) };
    }

    // A diamond; `lift` pixels above its place, fainter while it falls.
    paintSample(look, place, lift, isHot) {
      const { context } = this;
      const { pixel: [x, y], isOut, angle } = this.clamp(place);
      if (isOut) return this.paintArrow(look, [x, y], angle, look.accent);
      const size = (this.width < 260 ? 5 : 7) * (isHot ? 1.5 : 1);
      context.globalAlpha = 1 - Math.min(1, lift / 60);
      context.beginPath();
      for (const [dx, dy] of [[0, -size], [size, 0], [0, size], [-size, 0]]) context.lineTo(x + dx, y - lift + dy);
      context.closePath();
      context.fillStyle = isHot ? look.ink : look.accent;
      context.strokeStyle = look.ground;
      context.lineWidth = 1.5;
      context.fill();
      context.stroke();
      context.globalAlpha = 1;
    }

    paintArrow(look, [x, y], angle, color) {
      const { context } = this;
      context.save();
      context.translate(x, y);
      context.rotate(angle);
      context.beginPath();
      for (const [dx, dy] of [[8, 0], [-5, -6], [-5, 6]]) context.lineTo(dx, dy);
      context.closePath();
      context.fillStyle = color;
      context.strokeStyle = look.ground;
      context.lineWidth = 1.5;
      context.fill();
      context.stroke();
      context.restore();
    }

    // The point that is decoded: a ring with cross hairs, or with a letter in it.
    paintPoint(look, place, letter = "", isActive = true) {
      const { context } = this;
      const { pixel: [x, y], isOut, angle } = this.clamp(place);
      if (isOut) return this.paintArrow(look, [x, y], angle, look.ink);
      for (const [style, width] of [[look.ground, 5], [look.ink, 2]]) {
        context.strokeStyle = style;
        context.lineWidth = width;
        context.beginPath();
        context.arc(x, y, letter ? 9 : 7, 0, TAU);
        context.stroke();
        if (letter) continue;
        for (const [dx, dy] of [[1, 0], [0, 1], [-1, 0], [0, -1]]) {
          stroke(context, [[x + 7 * dx, y + 7 * dy], [x + 13 * dx, y + 13 * dy]]);
        }
      }
      if (!letter) return;
      context.fillStyle = isActive ? look.ink : look.ground;
      context.beginPath();
      context.arc(x, y, 8, 0, TAU);
      context.fill();
      context.fillStyle = isActive ? look.ground : look.ink;
      context.font = `600 11px ${look.font}`;
      context.textAlign = "center";
      context.textBaseline = "middle";
      context.fillText(letter, x, y + 0.5);
    }

    paintLine(look, from, to, steps) {
      const { context } = this;
      const [a, b] = [this.toPixel(from), this.toPixel(to)];
      for (const [style, width] of [[look.ground, 4], [look.ink, 1.75]]) {
        context.strokeStyle = context.fillStyle = style;
        context.lineWidth = width;
        stroke(context, [a, b]);
        for (let i = 1; i < steps - 1; i++) {
          const t = i / (steps - 1);
          context.beginPath();
          context.arc(a[0] + t * (b[0] - a[0]), a[1] + t * (b[1] - a[1]), 1 + width / 2, 0, TAU);
          context.fill();
        }
      }
    }

    // One and two standard deviations of a posterior.
    paintEllipse(look, { place, radii, angle }) {
      const { context } = this;
      const [x, y] = this.toPixel(place);
      for (const size of [2, 1]) {
        context.beginPath();
        context.ellipse(x, y, Math.max(1.5, size * radii[0] * this.scale), Math.max(1.5, size * radii[1] * this.scale),
          -angle, 0, TAU);
        context.globalAlpha = 0.25;
        context.fillStyle = look.accent;
        context.fill();
        context.globalAlpha = 1;
        context.strokeStyle = look.accent;
        context.lineWidth = 1.5;
        context.stroke();
      }
    }

    // An ellipse once more, in a lower corner away from it, as large as fits: it may be small beside N(0, I). `last` is
    // the newest of the draws at the places, if it is to stand out.
    paintLens(look, ellipse, places, last = null) {
      const { context, width, height, scale, box } = this;
      const side = Math.min(LENS, width / 3), zoom = side / 6 / Math.max(...ellipse.radii);
      if (zoom < 2 * scale) return;
      this.paintPoint(look, ellipse.place);
      const x = this.toPixel(ellipse.place)[0] < width / 2 ? width - side - 8 : 8, y = height - side - 24;
      context.save();
      context.fillStyle = look.ground;
      context.strokeStyle = look.quiet;
      context.lineWidth = 1;
      context.fillRect(x, y, side, side);
      context.strokeRect(x, y, side, side);
      context.beginPath();
      context.rect(x, y, side, side);
      context.clip();
      context.translate(x + side / 2 - width / 2, y + side / 2 - height / 2);
      [this.box, this.scale] = [{ x: ellipse.place[0], y: ellipse.place[1] }, zoom];
      this.paintEllipse(look, ellipse);
      this.paintDots(look, places, 2.5);
      if (last) this.paintDots({ ...look, ink: look.accent }, [last], 4.5);
      [this.box, this.scale] = [box, scale];
      context.restore();
      context.fillStyle = look.ink;
      context.font = `${look.small}px ${look.font}`;
      context.textAlign = "right";
      context.textBaseline = "bottom";
      context.fillText(`× ${Math.round(zoom / scale)}`, x + side - 5, y + side - 4);
    }

    // Small dots: draws from a posterior, or its mean.
    paintDots(look, places, radius) {
      const { context } = this;
      context.fillStyle = look.ink;
      context.strokeStyle = look.ground;
      context.lineWidth = 1;
      for (const place of places) {
        const [x, y] = this.toPixel(place);
        context.beginPath();
        context.arc(x, y, radius, 0, TAU);
        context.fill();
        context.stroke();
      }
    }
  }

  function stroke(context, points) {
    context.beginPath();
    for (const [x, y] of points) context.lineTo(x, y);
    context.stroke();
  }

  return { View, Picture, classColor, directions, ellipseOf, rank };
})();
