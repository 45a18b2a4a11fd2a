// The panel of one model: its plane, the image decoded at the point, the nearest images, and a grid of decodes.
"use strict";

const Panel = (() => {
  const MORPH = 500; // milliseconds in which codes move to those of another run

  // An element with attributes and children; text becomes text, never markup.
  function element(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
      else if (value === true) made.setAttribute(name, "");
      else if (value !== false && value !== null) made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  }

  // Paints images, in rows: grey ones as ink on paper, others in their colours.
  class Tiles {
    constructor(height, width, channels = 1) {
      this.channels = channels;
      this.scratch = element("canvas", { width, height });
      this.context = this.scratch.getContext("2d");
      this.data = this.context.createImageData(width, height);
    }

    paint(context, values, look, x, y, side) {
      const { data } = this.data, { channels } = this;
      const [paper, ink] = channels === 1 ? [look.paperRgb, look.inkRgb] : [[0, 0, 0], [255, 255, 255]];
      for (let i = 0; i < values.length / channels; i++) {
        for (let channel = 0; channel < 3; channel++) {
          const value = values[channels * i + (channel % channels)];
          data[4 * i + channel] = paper[channel] + value * (ink[channel] - paper[channel]);
        }
        data[4 * i + 3] = 255;
      }
      this.context.putImageData(this.data, 0, 0);
      const { width, height } = this.scratch;
      const scale = side / Math.max(width, height);
      context.imageSmoothingEnabled = true;
      context.imageSmoothingQuality = "high";
      context.drawImage(this.scratch, x + (side - scale * width) / 2, y + (side - scale * height) / 2,
        scale * width, scale * height);
    }

    // Fits a canvas to `columns` tiles across, and paints what there is; null paints an empty place.
    paintGrid(canvas, tiles, columns, rows, look, { hot = -1, hasBlanks = true } = {}) {
      const ratio = Math.min(3, window.devicePixelRatio || 1);
      const gap = columns > 1 ? 3 : 0;
      const width = canvas.clientWidth;
      if (!width) return;
      const side = (width - gap * (columns - 1)) / columns;
      const height = side * rows + gap * (rows - 1);
      const size = [Math.round(width * ratio), Math.round(height * ratio)];
      if (canvas.width !== size[0] || canvas.height !== size[1]) [canvas.width, canvas.height] = size;
      const context = canvas.getContext("2d");
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, width, height);
      for (let i = 0; i < columns * rows; i++) {
        const x = (i % columns) * (side + gap), y = Math.floor(i / columns) * (side + gap);
        if (tiles[i]) this.paint(context, tiles[i], look, x, y, side);
        else if (hasBlanks) {
          context.strokeStyle = look.line;
          context.lineWidth = 1;
          context.setLineDash([3, 3]);
          context.strokeRect(x + 0.5, y + 0.5, side - 1, side - 1);
          context.setLineDash([]);
        }
        if (i === hot) {
          context.strokeStyle = look.accent;
          context.lineWidth = 2;
          context.strokeRect(x + 1, y + 1, side - 2, side - 2);
        }
      }
    }
  }

  class Panel {
    // `host` has images (by number), look(), schedule() and the callbacks of moves.
    constructor(model, title, host) {
      [this.model, this.title, this.host] = [model, title, host];
      this.subtitle = element("span", { class: "ex-sub" });
      this.plane = element("canvas", {
        class: "ex-plane", tabindex: 0, role: "application", "aria-roledescription": _("latent plane"),
      });
      const seen = _("{model}: the image decoded at the point", { model: title });
      this.legend = element("span", { class: "ex-legend" });
      this.live = element("canvas", { class: "ex-live", role: "img", "aria-label": seen });
      this.liveCaption = element("span", { class: "ex-label" }, _("decoded"));
      this.near = element("canvas", { role: "img" });
      this.grid = element("canvas", { class: "ex-grid", role: "img" });
      this.caption = element("span", { class: "ex-label ex-caption" });
      this.axes = element("div", { class: "ex-axes", hidden: true });
      this.dims = element("details", { class: "ex-dims", hidden: true });
      this.root = element("article", { class: "ex-panel" },
        element("h3", {}, title, " ", this.subtitle),
        element("div", { class: "ex-frame" }, this.plane, this.legend),
        this.axes,
        element("div", { class: "ex-row" },
          element("div", { class: "ex-decoded" }, this.liveCaption, this.live),
          element("div", { class: "ex-near" }, element("span", { class: "ex-label" }, _("Nearest test {images}")), this.near)),
        this.caption, this.grid, this.dims);
      this.picture = new Plane.Picture(this.plane);
      this.grids = { tiles: [], columns: 8, key: "" };
      this.hot = -1;
      this.grid.addEventListener("pointermove", (event) => this.setHot(event));
      this.grid.addEventListener("pointerleave", () => this.host.setHot(-1));
      host.listen(this);
    }

    setHot(event) {
      const { columns, tiles } = this.grids;
      const side = this.grid.clientWidth / columns;
      const at = Math.floor(event.offsetX / side) + columns * Math.floor(event.offsetY / side);
      this.host.setHot(at < tiles.length ? at : -1);
    }

    // Shows another run of the model; its codes move there.
    setRun(run, subtitle, isAnimated) {
      if (this.run === run) return (this.subtitle.textContent = subtitle);
      const before = this.view && this.run.content.images === run.content.images ? this.view : null;
      this.run = run;
      this.subtitle.textContent = subtitle;
      this.tiles = new Tiles(...run.content.image_shape);
      const choices = Plane.directions(run);
      this.view = new Plane.View(run, choices[0]?.vector, choices[1]?.vector);
      this.morph = before && isAnimated ? { from: before.places, box: before.box, start: performance.now() } : null;
      this.shade = this.makeShade(run.content.plausibility);
      this.grids.key = "";
      this.liveKey = null;
      this.version = (this.version ?? 0) + 1;
      this.listAxes(choices);
      this.listDims();
      const label = "Latent plane of the {model}: codes of {n} test {images}. Arrow keys move the point, Shift moves it further, Home goes to the origin.";
      this.plane.setAttribute("aria-label", _(label, { model: this.title, n: this.view.count }));
    }

    makeShade(grid) {
      if (!grid) return null;
      const image = element("canvas", { width: grid.side, height: grid.side });
      return { image, grid, box: grid.box, values: Network.bytes(grid.values), theme: "" };
    }

    // Paints the plausibility grid in the page's colours, darkest where a decode looks like no digit.
    themeShade(look) {
      if (!this.shade || this.shade.theme === look.theme) return this.shade;
      const { image, grid, values } = this.shade;
      const context = image.getContext("2d");
      const data = context.createImageData(grid.side, grid.side);
      for (let i = 0; i < values.length; i++) {
        data.data.set([...look.shadeRgb, 255 - values[i]], 4 * i);
      }
      context.putImageData(data, 0, 0);
      this.shade.theme = look.theme;
      return this.shade;
    }

    listAxes(choices) {
      const { schedule } = this.host;
      this.axes.hidden = !choices.length;
      if (this.axes.hidden) return this.axes.replaceChildren();
      const chosen = [0, 1];
      const selects = [_("Across"), _("Up")].map((label, axis) => {
        const select = element("select", {
          onchange: () => {
            const other = 1 - axis;
            const value = Number(select.value);
            // The two directions differ: the other axis takes what this one had.
            if (chosen[other] === value) selects[other][1].value = chosen[other] = chosen[axis];
            chosen[axis] = value;
            this.view = new Plane.View(this.run, choices[chosen[0]].vector, choices[chosen[1]].vector);
            this.version++;
            schedule();
          },
        }, ...choices.map(({ name, index }) => element("option", { value: index, selected: index === axis }, name)));
        return [element("label", {}, `${label} `, select), select];
      });
      this.axes.replaceChildren(...selects.map(([label]) => label));
    }

    listDims() {
      const { run } = this;
      this.dims.hidden = run.latentDim <= 2;
      this.sliders = [];
      if (this.dims.hidden) return this.dims.replaceChildren();
      const ranked = Plane.rank(run);
      const shown = ranked.slice(0, 64);
      this.sliders = shown.map(({ i, name, low, high }) => {
        const input = element("input", {
          type: "range", min: low, max: high, step: "any", "aria-label": `${this.title} ${name}`,
          oninput: () => this.host.moveDimension(this, i, Number(input.value)),
        });
        return { i, input, row: element("label", {}, element("span", {}, name), input) };
      });
      const more = shown.length < ranked.length
        ? [element("p", {}, _("The first {n} of {total}.", { n: shown.length, total: ranked.length }))] : [];
      this.dims.replaceChildren(
        element("summary", {}, run.content.kl ? _("All dimensions, by KL") : _("All dimensions, by spread")),
        ...more, ...this.sliders.map(({ row }) => row));
    }

    // Sets what the grid shows: codes, decoded when there is time; `keep` shows the old images until then.
    setGrid(key, codes, columns, caption, keep = false) {
      if (this.grids.key === key) return;
      const old = keep ? this.grids.tiles : [];
      this.grids = {
        key, columns, caption,
        tiles: codes.map((z, i) => ({ z, place: null, image: old[i]?.image ?? null, isDue: true })),
      };
      this.grid.hidden = codes.length === 0;
      this.caption.textContent = caption;
      this.caption.classList.toggle("ex-empty", codes.length === 0);
      this.grid.setAttribute("aria-label", `${this.title}: ${caption}`);
    }

    // Shows, after the images of two codes, how far each pixel of theirs differs.
    setDifference() {
      const { tiles } = this.grids;
      const [a, b] = tiles;
      if (a.isDue || b.isDue) [a.image, b.image] = [this.run.decode(a.z), this.run.decode(b.z)];
      a.isDue = b.isDue = false;
      tiles[2] = { z: b.z, image: a.image.map((value, i) => Math.abs(value - b.image[i])), isDue: false };
    }

    // Decodes due images until the deadline; returns whether some are left.
    decodeDue(deadline, count = Infinity) {
      for (const [index, tile] of this.grids.tiles.entries()) {
        if (!tile.isDue) continue;
        if (index >= count || performance.now() > deadline) return index < count;
        tile.image = this.run.decode(tile.z);
        tile.isDue = false;
      }
      return false;
    }

    // Paints everything; returns whether an animation goes on.
    paint(scene, look, now) {
      const { picture, view } = this;
      if (!picture.fit()) return false;
      const { box: own, isShared } = this.host.frame(this);
      let { places } = view, box = own, key = [this.version, look.theme, scene.isShaded, scene.isDimmed, ...Object.values(own)].join("/");
      this.legend.textContent = isShared ? _("N(0, I): 1, 2 sd") : _("N(0, I): 1, 2 sd; own scale");
      if (this.morph) {
        const t = Math.min(1, (now - this.morph.start) / MORPH);
        if (t < 1) {
          const ease = t * t * (3 - 2 * t);
          const { from, box: old } = this.morph;
          places = places.map((value, i) => from[i] + ease * (value - from[i]));
          box = Object.fromEntries(Object.keys(box).map((name) => [name, old[name] + ease * (box[name] - old[name])]));
          key += `/${t}`;
        } else this.morph = null;
      }
      picture.setBox(box);
      const marks = { ...this.host.marks(this.run), isLine: view.dims === 1 };
      picture.paintBase(key, { ...look, dotAlpha: scene.isDimmed ? 0.4 : 0.85 }, places, marks, scene.isShaded ? this.themeShade(look) : null);
      picture.begin();
      scene.paint(this, picture, look);
      if (this.liveKey !== scene.liveKey) {
        this.liveImage = scene.live(this);
        this.liveKey = scene.liveKey;
      }
      this.tiles.paintGrid(this.live, [this.liveImage], 1, 1, look);
      const count = this.near.clientWidth < 150 ? 4 : 6;
      const { images, nearest } = scene.near(this, count);
      this.tiles.paintGrid(this.near, images, count, 1, look);
      this.near.title = nearest.join(", ");
      this.near.setAttribute("aria-label", _("{model}: the nearest test {images}, {labels}", {
        model: this.title, labels: this.near.title,
      }));
      const { tiles, columns } = this.grids;
      const narrow = this.grid.clientWidth < 260 && columns > 6;
      const across = narrow ? Math.ceil(columns / 2) : columns;
      const total = columns === 8 ? 16 : columns;
      this.tiles.paintGrid(this.grid, tiles.map(({ image }) => image), across, Math.ceil(total / across), look,
        { hot: this.hot, hasBlanks: tiles.length !== 1 });
      for (const { i, input } of this.sliders) {
        if (document.activeElement !== input && scene.code(this)) input.value = scene.code(this)[i];
      }
      return this.morph !== null;
    }
  }

  return { Panel, Tiles, element };
})();
