// The explorer: the planes of all models side by side, moved through together. See explorer.html for its parts.
"use strict";

(() => {
  const { element } = Panel;
  const root = document.getElementById("explorer");
  const data = JSON.parse(document.getElementById("explorer-data").textContent);
  const find = (name) => root.querySelector(`[data-ex="${name}"]`);
  const DRAWS = 16;
  const NUDGE = 0.3; // standard deviations of the codes
  const MOST_UNLIKE = 3; // times the scale of another plane, up to which planes share one
  const MOST_OPEN = 12; // names of classes that are listed before a click
  const STEPS = 10; // of the line from A to B
  const FALL = 450, STAGGER = 45; // milliseconds of a draw's fall, and between two
  const AGAIN = 650; // milliseconds between two draws from a digit's posterior
  const BUDGET = 8; // milliseconds of decoding in a frame
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
  const NOISE = { // of a model around a code
    none: _("each {image} is a point"),
    fixed: _("each {image} is a Gaussian of one fixed size"),
    learned: _("each {image} is a Gaussian"),
  };
  const FIELDS = { kl_weight: _("KL weight"), seed: _("seed") };
  const SAMPLERS = { gaussian: _("a Gaussian"), mixture: _("a mixture of 10 Gaussians") };
  const DRAWN = { // by the source of draws
    prior: _("16 draws from N(0, I)"),
    gaussian: _("16 draws from the Gaussian of its codes"),
    mixture: _("16 draws from the mixture of its codes"),
  };
  const HINTS = {
    explore: "Move over a plane, or use its arrow keys: each decoder draws what it sees there.",
    digit: "Move over a plane: the point snaps to the nearest test {image}, and to the same {image} in the others.",
    nudge: "Move over a plane: a code, its neighbour at the diamond, 0.3 sd of the codes away, and how their images differ.",
    prior: "The same 16 points land on every plane, and each model’s decoder draws them.",
    own: "The points come from {sampler}, fitted to each model’s codes of training images.",
    line: "Drag A and B. Keys: A or B chooses an end, arrows move it.",
    draw: "Draw with mouse or finger. The encoders place your {image}.",
  };

  const random = Noise.generator(1);
  const normals = (count) => Noise.normals(random, count);
  const state = {
    tool: "explore", // explore | line | nudge | draw
    link: "place", // place | digit
    isShaded: false,
    sampler: "gaussian", // of each model's own codes
    draws: null, // {source, number, start, eps, u}
    direction: 0, // of a nudge, radians in whitened coordinates
    ends: [], // of the line; each {codes}
    end: 0, // that the keys move
    posteriors: null, // of the drawn digit, by panel
    noise: null, // eps of the draws from the posteriors
    newest: 0, // of those draws
    choice: {}, // values of fields, by field
    moves: 0,
  };
  const codes = new Map(); // the point, by panel
  let images = [];
  let runs = [];
  let panels = [];
  let look = null;
  let due = 0;

  // Which run of a model fits the chosen settings best.
  function runOf(model) {
    let best = null, most = -1;
    for (const run of runs.filter(({ content }) => content.model === model)) {
      const fits = Object.entries(run.content.settings).filter(([name, value]) => state.choice[name] === value).length;
      if (fits > most) [best, most] = [run, fits];
    }
    return { run: best, isExact: most === Object.keys(best.content.settings).length };
  }

  function showRuns(isAnimated) {
    for (const panel of panels) {
      const { run, isExact } = runOf(panel.model);
      const settings = Object.entries(run.content.settings).map(([name, value]) => `${FIELDS[name] ?? name} ${value}`);
      const parts = [NOISE[run.content.noise], ...settings, ...(isExact ? [] : [_("nearest setting in this page")])];
      panel.setRun(run, parts.join(" · "), isAnimated && !calm.matches);
    }
    listClasses();
    startLine();
    if (state.noise && state.noise.length < DRAWS * mostDims()) state.noise = null;
    if (state.draws && state.draws.eps.length < DRAWS * mostDims()) state.draws = newDraws(state.draws.source);
    for (const panel of panels) {
      // The point stays at its digit, or at its place; at first it is at a typical digit.
      const { z, digit } = codes.get(panel) ?? state.ends[0].get(panel);
      if (digit !== null && digit < panel.view.count) codes.set(panel, { z: panel.run.posterior(digit).mean, digit });
      else codes.set(panel, { z: new Float32Array(panel.run.latentDim).map((_, i) => z[i] ?? 0), digit: null });
    }
    encodePad();
    changed();
  }

  // The names of the classes in full, unless they are numbers, which stand on the planes.
  function listClasses() {
    const { names } = images[panels[0].run.content.images];
    const isNamed = names.some((name) => !/^\d+$/.test(name));
    find("classes").hidden = !isNamed;
    find("classes-count").textContent = _("{n} classes", { n: names.length });
    look ??= Look.read(root);
    find("classes-names").replaceChildren(...(isNamed ? names : []).map((name, rank) => {
      const dot = element("span", { class: "ex-dot" });
      dot.style.background = look.color(rank, names.length);
      return element("li", { title: name }, dot, name);
    }));
  }

  function changed() {
    state.moves++;
    schedule();
    keep();
  }

  // Keeps what a link to the page should restore; browsers refuse many changes of the hash in a short time.
  let saved = 0;
  function keep() {
    clearTimeout(saved);
    if (!("ready" in root.dataset)) return;
    saved = setTimeout(() => Hash.set({
      tool: state.tool, link: state.link, point: Hash.place(panels[0].view.project(codes.get(panels[0]).z)),
      sampled: state.draws && `${state.draws.source}.${state.draws.number}`, ...state.choice,
    }), 200);
  }

  // Sets what the hash says.
  function restore() {
    const is = (name, kind) => root.querySelector(`input[name="ex-${kind}"][value="${CSS.escape(name ?? "")}"]`) !== null;
    const [tool, link, point, sampled] = [Hash.get("tool"), Hash.get("link"), Hash.getPlace("point"), Hash.get("sampled")];
    if (is(link, "link")) root.querySelector(`input[name="ex-link"][value="${(state.link = link)}"]`).checked = true;
    if (point) assign(codes, linked(panels[0], point, codes));
    const [source, number] = (sampled ?? "").split(".");
    if (source in DRAWN && Number(number) > 0) {
      state.drawn = Number(number) - 1;
      draw(source);
    }
    setTool(is(tool, "tool") ? tool : "explore");
  }

  // What a plane shows: planes of two dimensions have one scale, unless one of them would be too small.
  function frame(panel) {
    const boxes = panels.map(({ view }) => view.box);
    const sizes = boxes.map(({ halfX, halfY }) => Math.max(halfX, halfY));
    const isShared = panels.every(({ view }) => view.dims === 2) && Math.max(...sizes) <= MOST_UNLIKE * Math.min(...sizes);
    if (!isShared) return { box: panel.view.box, isShared: panels.length < 2 };
    const end = (sign, at, half) => sign * Math.max(...boxes.map((box) => sign * box[at] + box[half]));
    const [left, right, bottom, top] = [end(-1, "x", "halfX"), end(1, "x", "halfX"), end(-1, "y", "halfY"), end(1, "y", "halfY")];
    const box = { x: (left + right) / 2, y: (bottom + top) / 2, halfX: (right - left) / 2, halfY: (top - bottom) / 2 };
    return { box, isShared };
  }

  function schedule() {
    due ||= requestAnimationFrame(paint);
  }

  // Moves.

  // What a place of one panel's plane is in every panel: {z, digit}, by panel.
  function linked(panel, place, from) {
    const result = new Map();
    if (state.link === "digit") {
      const digit = panel.view.nearestSeen(place);
      for (const other of panels) {
        const isShared = other.run.content.images === panel.run.content.images;
        result.set(other, isShared ? { z: other.run.posterior(digit).mean, digit } : from.get(other));
      }
      return result;
    }
    // Raw coordinates of two models have nothing in common.
    const whitened = panel.view.whitened(place);
    for (const other of panels) {
      const there = other === panel ? place : other.view.placed(whitened);
      result.set(other, { z: other.view.unproject(there, from.get(other).z), digit: null });
    }
    return result;
  }

  function assign(target, moved) {
    for (const [panel, code] of moved) target.set(panel, code);
    changed();
  }

  function moveTo(panel, place) {
    if (state.tool === "line") assign(state.ends[state.end], linked(panel, place, state.ends[state.end]));
    else if (state.tool !== "draw") assign(codes, linked(panel, place, codes));
  }

  function moveDimension(panel, dimension, value) {
    const z = codes.get(panel).z.slice();
    z[dimension] = value;
    codes.set(panel, { z, digit: null });
    changed();
  }

  // Starts a line between typical images of the two classes that lie farthest apart in the first plane.
  function startLine() {
    const typical = typicalImages();
    const place = (digit) => panels[0].view.places.subarray(2 * digit, 2 * digit + 2);
    let ends = [0, typical.length - 1].map((i) => typical[i]), most = -1;
    for (const a of typical) {
      for (const b of typical) {
        const apart = Math.hypot(place(a)[0] - place(b)[0], place(a)[1] - place(b)[1]);
        if (apart > most) [ends, most] = [[a, b], apart];
      }
    }
    state.ends = ends.map((digit) => new Map(panels.map((p) => [p, { z: p.run.posterior(digit).mean, digit }])));
  }

  // Of each class, the image whose codes lie nearest to the middles of the class in all planes; without classes, a few.
  function typicalImages() {
    const set = images[panels[0].run.content.images];
    const alike = panels.filter((panel) => images[panel.run.content.images] === set).map((panel) => panel.view);
    if (!set.ranks) return [0, 1, 2, 3].filter((i) => i < set.pixels.length);
    return set.names.map((_, rank) => {
      const members = set.ranks.flatMap((value, i) => (value === rank ? [i] : []));
      const off = new Map(members.map((i) => [i, 0]));
      for (const { places, box } of alike) {
        for (const [axis, half] of [[0, box.halfX], [1, box.halfY]]) {
          const middle = members.reduce((sum, i) => sum + places[2 * i + axis], 0) / members.length;
          for (const i of members) off.set(i, off.get(i) + ((places[2 * i + axis] - middle) / half) ** 2);
        }
      }
      return members.reduce((best, i) => (off.get(i) < off.get(best) ? i : best));
    });
  }

  function listen(panel) {
    const { plane } = panel;
    const place = (event) => {
      const box = plane.getBoundingClientRect();
      return panel.picture.toPlace([event.clientX - box.left, event.clientY - box.top]);
    };
    plane.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      plane.setPointerCapture(event.pointerId);
      const at = place(event);
      if (state.tool === "line") {
        const distance = state.ends.map((end) => {
          const [x, y] = panel.view.project(end.get(panel).z);
          return Math.hypot(x - at[0], y - at[1]);
        });
        state.end = distance[0] <= distance[1] ? 0 : 1;
      }
      moveTo(panel, at);
    });
    plane.addEventListener("pointermove", (event) => {
      const isPressed = plane.hasPointerCapture(event.pointerId);
      if (isPressed || (event.pointerType === "mouse" && ["explore", "nudge"].includes(state.tool))) moveTo(panel, place(event));
    });
    plane.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      const { view, picture } = panel;
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (state.tool === "line" && "ab".includes(event.key.toLowerCase())) {
        state.end = event.key.toLowerCase() === "a" ? 0 : 1;
        return changed();
      }
      const target = state.tool === "line" ? state.ends[state.end] : codes;
      const [x, y] = view.project(target.get(panel).z);
      if (event.key === "Home") moveTo(panel, [0, 0]);
      else if (step) {
        const size = (event.shiftKey ? 40 : 8) / picture.scale;
        if (state.link === "digit") moveTo(panel, nextSeen(panel, target.get(panel).digit, [x, y], step));
        else moveTo(panel, [x + size * step[0], y + size * step[1]]);
      } else return;
      event.preventDefault();
      if (state.tool !== "draw") announce();
    });
  }

  // The place of the nearest code that lies in a direction from a place, within 45 degrees.
  function nextSeen({ view }, digit, [x, y], [dx, dy]) {
    let best = null, least = Infinity;
    for (let i = 0; i < view.count; i++) {
      const u = view.places[2 * i] - x, v = view.places[2 * i + 1] - y;
      const along = u * dx + v * dy, across = Math.abs(u * dy) + Math.abs(v * dx);
      if (i !== digit && along > 1e-9 && across <= along && along + across < least) {
        [best, least] = [i, along + across];
      }
    }
    return best === null ? [x, y] : [view.places[2 * best], view.places[2 * best + 1]];
  }

  let announcement = 0;
  function announce() {
    clearTimeout(announcement);
    announcement = setTimeout(() => {
      find("status").textContent = panels.map((panel) => _("{model}: z = ({z}); nearest test {images}: {labels}", {
        model: panel.title,
        z: [...pointOf(panel)].slice(0, 4).map((value) => (Math.round(100 * value) / 100 + 0).toFixed(2)).join(", "),
        labels: near(panel, 3).nearest.join(", "),
      })).join(". ");
    }, 400);
  }

  // What is shown.

  // The code whose decode is the large image; null before anything is drawn.
  function pointOf(panel) {
    if (state.tool === "line") return state.ends[state.end].get(panel).z;
    if (state.tool === "draw") {
      if (!state.posteriors) return null;
      const posterior = state.posteriors.get(panel);
      return posterior.logvar ? perturbed(posterior, state.newest) : posterior.mean;
    }
    return codes.get(panel).z;
  }

  function perturbed({ mean, logvar }, n) {
    return mean.map((value, i) => value + Math.exp(logvar[i] / 2) * state.noise[(n * mean.length + i) % state.noise.length]);
  }

  function near(panel, count) {
    const set = images[panel.run.content.images];
    const point = pointOf(panel);
    const found = point ? panel.view.nearest(point, count) : [];
    return { images: found.map((i) => set.pixels[i]), nearest: found.map((i) => set.names[set.ranks?.[i]] ?? i), found };
  }

  function mostDims() {
    return Math.max(...panels.map((panel) => panel.run.latentDim));
  }

  // The next draws, which a link to the page has again.
  function newDraws(source) {
    const number = (state.drawn = (state.drawn ?? 0) + 1);
    const own = Noise.generator(number);
    return {
      source, number, id: ++state.moves, start: performance.now(),
      eps: Noise.normals(own, DRAWS * mostDims()), u: Array.from({ length: DRAWS }, own),
    };
  }

  // The code a nudge away from a panel's point: 0.3 standard deviations of the codes, as they are seen.
  function nudged(panel) {
    const { z } = codes.get(panel);
    const [x, y] = panel.view.whitened(panel.view.project(z));
    const to = [x + NUDGE * Math.cos(state.direction), y + NUDGE * Math.sin(state.direction)];
    return panel.view.unproject(panel.view.placed(to), z);
  }

  function drawsOf(panel) {
    const { source, eps, u } = state.draws;
    const { run, view } = panel;
    const dims = run.latentDim;
    return u.map((value, n) => {
      const noise = eps.subarray(n * dims, (n + 1) * dims);
      if (source !== "prior") return run.sample(source, noise, value);
      return dims === 2 ? view.unproject(noise, new Float32Array(2)) : noise.slice();
    });
  }

  function fillGrid(panel, now) {
    const key = `${panel.version}/`;
    if (state.tool === "line") {
      const [a, b] = state.ends.map((end) => end.get(panel).z);
      const line = Array.from({ length: STEPS }, (_, i) => a.map((v, j) => v + (i / (STEPS - 1)) * (b[j] - v)));
      panel.setGrid(`${key}line/${state.moves}`, line, STEPS, _("From A to B in {n} steps", { n: STEPS }), true);
    } else if (state.tool === "draw") {
      if (!state.posteriors) return panel.setGrid(`${key}empty`, [], 8, _("Draw {an_image} first"));
      const posterior = state.posteriors.get(panel);
      const draws = posterior.logvar
        ? Array.from({ length: DRAWS }, (_, n) => perturbed(posterior, n)) : [posterior.mean];
      const caption = posterior.logvar ? _("16 draws from q(z | your {image})") : _("One code, so one reconstruction");
      panel.setGrid(`${key}pad/${state.padMoves}/${state.redraws}`, draws, 8, caption, posterior.logvar !== null);
    } else if (state.tool === "nudge") {
      const caption = _("A code, its neighbour 0.3 sd away, and their difference");
      panel.setGrid(`${key}nudge/${state.moves}`, [codes.get(panel).z, nudged(panel)], 3, caption, true);
      panel.setDifference();
    } else if (state.draws) {
      const { source, id } = state.draws;
      panel.setGrid(`${key}draws/${id}`, drawsOf(panel), 8, DRAWN[source]);
    } else panel.setGrid(`${key}none`, [], 8, "");
    const landed = state.tool === "explore" && state.draws ? landedAt(now) : Infinity;
    return panel.decodeDue(performance.now() + BUDGET / panels.length, landed);
  }

  // How many draws have landed.
  function landedAt(now) {
    if (calm.matches) return DRAWS;
    return Math.max(0, Math.floor((now - state.draws.start - FALL) / STAGGER) + 1);
  }

  const scene = {
    get isShaded() {
      return state.isShaded;
    },
    get isDimmed() {
      return state.tool !== "explore" || state.draws !== null;
    },
    get liveKey() {
      return `${state.moves}`;
    },
    live: (panel) => pointOf(panel) && panel.run.decode(pointOf(panel)),
    code: (panel) => pointOf(panel),
    near,
    paint(panel, picture, look) {
      const { view } = panel;
      if (panel.morph) return;
      if (state.tool === "line") {
        const places = state.ends.map((end) => view.project(end.get(panel).z));
        picture.paintLine(look, ...places, STEPS);
        places.forEach((place, i) => picture.paintPoint(look, place, "AB"[i], i === state.end));
        if (panel.hot >= 0) picture.paintSample(look, view.project(panel.grids.tiles[panel.hot].z), 0, true);
        return;
      }
      if (state.tool === "draw") {
        if (!state.posteriors) return;
        const posterior = state.posteriors.get(panel);
        if (!posterior.logvar) return picture.paintPoint(look, view.project(posterior.mean));
        const places = panel.grids.tiles.map((tile) => view.project(tile.z));
        const last = view.project(panel.grids.tiles[panel.hot]?.z ?? pointOf(panel));
        picture.paintEllipse(look, view.ellipse(posterior));
        picture.paintDots(look, places, 1.75);
        picture.paintSample(look, last, 0, false);
        return picture.paintLens(look, view.ellipse(posterior), places, last);
      }
      const { z, digit } = codes.get(panel);
      if (state.tool === "nudge") {
        picture.paintPoint(look, view.project(z));
        return picture.paintSample(look, view.project(nudged(panel)), 0, false);
      }
      if (digit !== null) {
        const posterior = panel.run.posterior(digit);
        if (posterior.logvar) picture.paintEllipse(look, view.ellipse(posterior));
      }
      picture.paintPoint(look, view.project(z));
      if (!state.draws) return;
      for (const [n, tile] of panel.grids.tiles.entries()) {
        const t = calm.matches ? 1 : (performance.now() - state.draws.start - n * STAGGER) / FALL;
        if (t > 0) picture.paintSample(look, view.project(tile.z), 60 * (1 - Math.min(1, t)) ** 2, n === panel.hot);
      }
    },
  };

  function paint(now) {
    due = 0;
    look ??= Look.read(root);
    let isGoingOn = false;
    for (const panel of panels) {
      isGoingOn = fillGrid(panel, now) || isGoingOn;
      isGoingOn = panel.paint(scene, look, now) || isGoingOn;
    }
    if (state.tool === "explore" && state.draws && landedAt(now) < DRAWS) isGoingOn = true;
    if (isGoingOn) schedule();
  }

  // Controls.

  function draw(source) {
    setTool("explore");
    state.draws = newDraws(source);
    setHint();
    schedule();
    keep();
  }

  function setTool(tool) {
    state.tool = tool;
    root.querySelector(`input[name="ex-tool"][value="${tool}"]`).checked = true;
    find("pad-box").hidden = tool !== "draw";
    find("turn").hidden = tool !== "nudge";
    find("link-box").hidden = tool === "draw" || panels.length < 2;
    setHint();
    for (const panel of panels) panel.liveCaption.textContent = tool === "draw" ? _("reconstruction") : _("decoded");
    if (tool === "draw") {
      pad.paint((look ??= Look.read(root)), paintOnPad);
      again();
    }
    changed();
  }

  function setHint() {
    let name = state.tool;
    if (name === "explore" && state.draws) name = state.draws.source === "prior" ? "prior" : "own";
    else if (name === "explore" && state.link === "digit") name = "digit";
    find("hint").textContent = _(HINTS[name], { sampler: SAMPLERS[state.draws?.source] });
  }

  function paintOnPad(context, pixels, x, y, side) {
    panels[0].tiles.paint(context, pixels, look, x, y, side);
  }

  // Encodes what is on the pad in every panel.
  function encodePad() {
    if (pad.isEmpty) state.posteriors = null;
    else {
      state.posteriors = new Map(panels.map((panel) => {
        const { run } = panel;
        const { binarization } = run.content;
        let pixels = pad.pixels(run.height, run.width);
        // Training draws binary pixels anew at each step; here the cut at 1/2 stands for them.
        if (binarization !== "none") pixels = pixels.map((value) => (value >= 0.5 ? 1 : 0));
        return [panel, run.encode(pixels)];
      }));
      state.noise ??= normals(DRAWS * mostDims());
    }
    state.padMoves = (state.padMoves ?? 0) + 1;
    changed();
  }

  const pad = new Pad.Pad(find("pad"), () => {
    encodePad();
    pad.paint((look ??= Look.read(root)), paintOnPad);
    again();
  });

  // Draws from the posteriors again and again, one draw at a time, unless motion is to be reduced.
  let timer = 0;
  function again() {
    clearTimeout(timer);
    if (state.tool !== "draw" || !state.posteriors || calm.matches) return;
    timer = setTimeout(() => {
      redraw();
      again();
    }, AGAIN);
  }

  function redraw() {
    if (!state.posteriors) return;
    const dims = state.noise.length / DRAWS;
    state.newest = (state.newest + 1) % DRAWS;
    state.noise.set(normals(dims), state.newest * dims);
    state.redraws = (state.redraws ?? 0) + 1;
    changed();
  }

  // A slider for the KL weight, and a list of values for every other field in which runs differ.
  function listSettings() {
    const values = new Map(data.fields.map((name) => [name, []]));
    for (const { content } of runs) {
      for (const [name, value] of Object.entries(content.settings)) {
        if (!values.get(name).includes(value)) values.get(name).push(value);
      }
    }
    for (const [name, options] of values) {
      if (options.length < 2) continue;
      const label = FIELDS[name] ?? name;
      const isNumeric = options.every((value) => Number.isFinite(Number(value)));
      if (isNumeric) options.sort((a, b) => a - b);
      const usual = options.includes("1") && name === "kl_weight" ? "1" : options[0];
      state.choice[name] = options.includes(Hash.get(name)) ? Hash.get(name) : usual;
      const choose = (value) => {
        state.choice[name] = value;
        showRuns(true);
      };
      if (name === "kl_weight" && isNumeric) {
        const output = element("output", {}, state.choice[name]);
        const input = element("input", {
          type: "range", min: 0, max: options.length - 1, step: 1, value: options.indexOf(state.choice[name]),
          "aria-valuetext": state.choice[name],
          oninput: () => {
            const value = options[Number(input.value)];
            output.textContent = value;
            input.setAttribute("aria-valuetext", value);
            choose(value);
          },
        });
        find("settings").append(element("label", { class: "ex-slider" }, element("span", {}, `${label} `, output), input));
      } else {
        const select = element("select", { onchange: () => choose(select.value) },
          ...options.map((value) => element("option", { value, selected: value === state.choice[name] }, value)));
        find("settings").append(element("label", {}, `${label} `, select));
      }
    }
  }

  function writeNotes() {
    const unit = 10 ** Math.floor(Math.log10(data.error || 1e-6));
    const error = (Math.ceil(data.error / unit) * unit).toPrecision(1); // rounded up, as a bound
    const precision = "The runs’ own networks decode in this page, in float16: on these {images} no pixel is off by more than {error}.";
    const some = "{shown} of {total} runs are here, as many as a page of this size holds: {names}.";
    const aligned = "Planes are turned about the origin to match one another, which changes no distance.";
    const names = runs.map(({ content }) => content.label).join(", ");
    const notes = [
      _(precision, { error }),
      runs.length === data.total ? _("All runs of this experiment are here.")
        : _(some, { shown: runs.length, total: data.total, names }),
      ...(runs.some(({ content }) => content.rotation) ? [_(aligned)] : []),
    ];
    find("notes").textContent = notes.join(" ");
  }

  function listenToControls() {
    find("draw-prior").addEventListener("click", () => draw("prior"));
    find("draw-own").addEventListener("click", () => draw(state.sampler));
    find("sampler").addEventListener("change", (event) => {
      state.sampler = event.target.value;
      draw(state.sampler);
    });
    for (const input of root.querySelectorAll('input[name="ex-tool"]')) {
      input.addEventListener("change", () => setTool(input.value));
    }
    for (const input of root.querySelectorAll('input[name="ex-link"]')) {
      input.addEventListener("change", () => {
        state.link = input.value;
        if (state.link === "digit" && state.tool !== "draw") {
          const target = state.tool === "line" ? state.ends[state.end] : codes;
          moveTo(panels[0], panels[0].view.project(target.get(panels[0]).z));
        }
        setTool(state.tool);
      });
    }
    find("shade").addEventListener("change", (event) => {
      state.isShaded = event.target.checked;
      changed();
    });
    find("save-picture").addEventListener("click", () => Save.picture(find("panels"), "latent-spaces.png"));
    find("save-codes").addEventListener("click", () => Save.codes(panels.map(({ run }) => run), images, "codes.csv"));
    find("turn").addEventListener("click", () => {
      state.direction += Math.PI / 4;
      changed();
    });
    find("clear").addEventListener("click", () => pad.clear());
    find("redraw").addEventListener("click", redraw);
    find("test-digit").addEventListener("click", () => {
      const { pixels } = images[panels[0].run.content.images];
      pad.put(pixels[Math.floor(random() * pixels.length)]);
    });
    const restyle = () => {
      look = null;
      listClasses();
      if (state.tool === "draw") pad.paint((look = Look.read(root)), paintOnPad);
      schedule();
    };
    Look.dark.addEventListener("change", restyle);
    calm.addEventListener("change", again);
    new ResizeObserver(restyle).observe(root);
  }

  async function start() {
    runs = await Promise.all(data.runs.map(Network.open));
    images = await Promise.all(data.images.map(Digits.read));
    const titles = new Map(runs.map(({ content }) => [content.model, content.title]));
    const host = {
      schedule, listen, moveDimension, frame,
      marks: ({ content }) => images[content.images],
      setHot: (index) => {
        for (const panel of panels) panel.hot = index < panel.grids.tiles.length ? index : -1;
        schedule();
      },
    };
    panels = [...titles].map(([model, title]) => new Panel.Panel(model, title, host));
    root.style.setProperty("--panels", panels.length);
    root.dataset.panels = panels.length;
    find("panels").replaceChildren(...panels.map((panel) => panel.root));
    listSettings();
    find("shade-box").hidden = !runs.some(({ content }) => content.plausibility);
    writeNotes();
    listenToControls();
    find("classes").open = images.every(({ names }) => names.length <= MOST_OPEN);
    showRuns(false);
    restore();
    root.dataset.ready = "";
  }

  start().catch((error) => {
    find("panels").textContent = _("This browser cannot show the explorer.");
    console.error(error);
  });
})();
