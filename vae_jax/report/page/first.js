// The first screen: draws by what is known of the codes, and the plane along the KL weight. See first.html and path.py.
"use strict";

(() => {
  const root = document.getElementById("first");
  const data = JSON.parse(document.getElementById("first-data").textContent);
  const find = (name) => root.querySelector(`[data-fi="${name}"]`);
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
  const LINE = 16; // pixels of the name of a class
  const MOVE = 250; // milliseconds in which codes move to those of another weight
  let look = null;
  const looks = () => (look ??= Look.read(root));
  const parts = []; // each paints itself

  function startDraws({ models }) {
    const DRAWS = 16, ACROSS = 4;
    const RUNGS = ["prior", "gaussian", "mixture", "aggregate"];
    const KNOWN = [
      _("Nothing is known of the codes: z is drawn from N(0, I)."),
      _("Mean and covariance of the codes are known: z is drawn from that Gaussian."),
      _("A mixture of 10 Gaussians is fitted to the codes: z is drawn from it."),
      _("The codes themselves are known: z is one of a training image, so that these are reconstructions."),
    ];
    const inputs = [...root.querySelectorAll('input[name="fi-draws"]')];
    const canvases = [...root.querySelectorAll("[data-draws]")];
    let rung = Math.max(0, RUNGS.indexOf(Hash.get("draws")));
    let sheets = [];

    function write() {
      inputs[rung].checked = true;
      for (const number of root.querySelectorAll("[data-rung]")) {
        number.classList.toggle("fi-on", Number(number.dataset.rung) === rung);
      }
      const isMeasured = models.every(({ ladder }) => ladder.length);
      const measured = models.map(({ title, ladder }) => !isMeasured ? title
        : _("{model}: Fréchet distance {frechet}, coverage {coverage} %", {
          model: title, frechet: ladder[rung].frechet.toFixed(0), coverage: (100 * ladder[rung].coverage).toFixed(0),
        }));
      canvases.forEach((canvas, n) => canvas.setAttribute("aria-label", `${measured[n]}. ${KNOWN[rung]}`));
      if (!isMeasured) {
        find("draws-caption").textContent = KNOWN[rung];
        return;
      }
      const seeds = Math.min(...models.map((model) => model.seeds));
      const how = seeds > 1
        ? _("Numbers: Fréchet distance of 1,000 or more such samples from the test images, less is better, and the share of test images that they cover; means over {n} seeds.", { n: seeds })
        : _("Numbers: Fréchet distance of 1,000 or more such samples from the test images, less is better, and the share of test images that they cover; one seed.");
      find("draws-caption").textContent = `${KNOWN[rung]} ${measured.join("; ")}. ${how}`;
    }

    function paint() {
      canvases.forEach((canvas, n) => {
        const tiles = new Panel.Tiles(...models[n].sheet.shape);
        tiles.paintGrid(canvas, sheets[n].pixels.slice(DRAWS * rung, DRAWS * (rung + 1)), ACROSS, DRAWS / ACROSS, looks());
      });
    }

    inputs.forEach((input, n) => input.addEventListener("change", () => {
      rung = n;
      Hash.set({ draws: RUNGS[n] });
      write();
      paint();
    }));
    write();
    return Promise.all(models.map(({ sheet }) => Digits.read(sheet))).then((read) => {
      sheets = read;
      parts.push(paint);
    });
  }

  function startPlane({ steps, box, side, draws, labels, names: byLabel, count, dims, seed, start }) {
    const [x0, y0, x1, y1] = box;
    const bounds = { x: (x0 + x1) / 2, y: (y0 + y1) / 2, halfX: (x1 - x0) / 2, halfY: (y1 - y0) / 2 };
    const canvas = find("plane"), slider = find("slider");
    const picture = new Plane.Picture(canvas);
    const { ranks, names } = Digits.classes(labels, byLabel);
    const read = steps.map(({ places, posteriors }) => ({
      places: Network.floats(places), posteriors: Network.floats(posteriors),
    }));
    const largest = Math.max(...steps.flatMap(({ distortion, rate }) => [distortion ?? 0, rate ?? 0]));
    const sheets = new Map();
    const named = steps.findIndex(({ weight }) => `${weight}` === Hash.get("weight"));
    let step = named < 0 ? start : named;
    let point = Hash.getPlace("at") ?? [0, 0];
    let shown = read[step]; // what is painted, on its way to another step
    let move = null, frame = 0, saved = 0;

    // The decodes of a step, which are read when they are first needed.
    function decodes(n) {
      if (!sheets.has(n)) {
        sheets.set(n, Promise.all([Digits.read(steps[n].decodes), Digits.read(steps[n].grid)]).then(([row, grid]) => {
          steps[n].images = { row: row.pixels, grid: grid.pixels };
          schedule();
        }));
      }
      return sheets.get(n);
    }

    // The cell of the decoded plane that a place lies in: its index, and the place of its middle.
    function cell([x, y]) {
      const at = (value) => Math.min(side - 1, Math.max(0, Math.floor(side * value)));
      const column = at((x - x0) / (x1 - x0)), row = at((y1 - y) / (y1 - y0));
      const place = [x0 + ((column + 0.5) / side) * (x1 - x0), y1 - ((row + 0.5) / side) * (y1 - y0)];
      return { index: row * side + column, place };
    }

    function write() {
      const { weight, title, distortion, rate, inside } = steps[step];
      const text = `${weight} (${title})`;
      find("weight").textContent = text;
      slider.value = step;
      slider.setAttribute("aria-valuetext", text);
      for (const [name, value] of Object.entries({ distortion, rate })) {
        root.querySelector(`[data-bar="${name}"]`).style.width = `${value === null ? 0 : Math.max(0, (100 * value) / largest)}%`;
        root.querySelector(`[data-number="${name}"]`).textContent = value === null ? _("none") : value.toFixed(1);
      }
      const parts = [
        weight === 0 ? _("Weight 0 is the {model}: each image is a point.", { model: title })
          : _("Ellipses: posteriors of {n} test images, one sd.", { n: shownEllipses(step) }),
        _("Dots: codes of {n} test images, by class. Dashed: N(0, I), 1 and 2 sd. Axes stay, and planes are turned to match. One run a weight, seed {seed}.", { n: count, seed }),
        ...(dims > 2 ? [_("The plane is that of two principal axes of {dims}.", { dims })] : []),
        ...(inside < count ? [_("Codes outside: {n}.", { n: count - inside })] : []),
      ];
      find("plane-caption").textContent = parts.join(" ");
    }

    const shownEllipses = (n) => read[n].posteriors.length / 3;

    function ellipse(context, [x, y], [xx, xy, yy]) {
      const { radii, angle } = Plane.ellipseOf(xx, xy, yy);
      const [px, py] = picture.toPixel([x, y]);
      context.beginPath();
      context.ellipse(px, py, Math.max(1, radii[0] * picture.scale), Math.max(1, radii[1] * picture.scale), -angle, 0, 2 * Math.PI);
    }

    function paintCodes(context) {
      const { places, posteriors } = shown;
      const color = (n) => looks().color(ranks ? ranks[n] : 0, names.length);
      const radius = picture.width < 300 ? 1.6 : 2.1;
      context.globalAlpha = 0.75;
      for (let n = 0; n < count; n++) {
        const [x, y] = picture.toPixel([places[2 * n], places[2 * n + 1]]);
        context.fillStyle = color(n);
        context.beginPath();
        context.arc(x, y, radius, 0, 2 * Math.PI);
        context.fill();
      }
      context.lineWidth = 1.25;
      for (let n = 0; 3 * n < posteriors.length; n++) {
        ellipse(context, places.subarray(2 * n, 2 * n + 2), posteriors.subarray(3 * n, 3 * n + 3));
        context.globalAlpha = 0.25;
        context.fillStyle = color(n);
        context.fill();
        context.globalAlpha = 1;
        context.strokeStyle = color(n);
        context.stroke();
      }
      context.globalAlpha = 1;
    }

    // The name of each class at the median of its codes, so that colour alone says nothing. A word covers no other: it is
    // moved by up to two lines, or left out.
    function paintClasses(context) {
      context.font = `700 14px ${looks().font}`;
      context.textAlign = "center";
      context.textBaseline = "middle";
      context.lineJoin = "round";
      const taken = [];
      names.forEach((name, rank) => {
        const middle = [0, 1].map((axis) => {
          const values = ranks.flatMap((each, n) => (each === rank ? [shown.places[2 * n + axis]] : [])).sort((a, b) => a - b);
          return values[values.length >> 1];
        });
        const [at, height] = picture.toPixel(middle);
        const text = Digits.short(name, picture.width < 300 ? 8 : 14);
        const half = context.measureText(text).width / 2 + 2;
        const x = Math.max(half, Math.min(picture.width - half, at));
        const isFree = (y) => !taken.some(([u, v, other]) => Math.abs(u - x) < half + other && Math.abs(v - y) < LINE);
        const y = text.length > 2 ? [0, 1, -1, 2, -2].map((n) => height + n * LINE).find(isFree) : height;
        if (y === undefined) return;
        taken.push([x, y, half]);
        context.strokeStyle = looks().ground;
        context.lineWidth = 4;
        context.strokeText(text, x, y);
        context.fillStyle = looks().color(rank, names.length);
        context.fillText(text, x, y);
      });
    }

    function paint(now = performance.now()) {
      frame = 0;
      if (!picture.fit()) return;
      if (move) {
        const t = Math.min(1, (now - move.start) / MOVE), ease = t * t * (3 - 2 * t);
        const mix = (from, to) => (from.length === to.length ? to.map((value, i) => from[i] + ease * (value - from[i])) : to);
        const { places, posteriors } = read[step];
        shown = t < 1 ? { places: mix(move.from.places, places), posteriors: mix(move.from.posteriors, posteriors) } : read[step];
        move = t < 1 ? move : null;
      }
      picture.setBox(bounds);
      const { context, ratio } = picture;
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      context.clearRect(0, 0, picture.width, picture.height);
      picture.paintScale(context, looks());
      paintCodes(context);
      picture.paintPrior(context, looks(), false);
      paintClasses(context);
      for (const place of draws) picture.paintSample(looks(), place, 0, false);
      const { index, place } = cell(point);
      picture.paintPoint(looks(), place);
      const { images } = steps[step];
      if (images) {
        const tiles = new Panel.Tiles(...steps[step].grid.shape);
        tiles.paintGrid(find("decodes"), images.row, draws.length, 1, looks());
        tiles.paintGrid(find("point"), [images.grid[index]], 1, 1, looks());
      }
      if (move) schedule();
    }

    function schedule() {
      frame ||= requestAnimationFrame(paint);
    }

    function keep() { // browsers refuse more than some 100 changes of the hash in 30 seconds
      clearTimeout(saved);
      saved = setTimeout(() => Hash.set({ weight: `${steps[step].weight}`, at: Hash.place(point) }), 200);
    }

    function moveTo(place) {
      point = [Math.min(x1, Math.max(x0, place[0])), Math.min(y1, Math.max(y0, place[1]))];
      keep();
      schedule();
    }

    slider.addEventListener("input", () => {
      const from = shown;
      step = Number(slider.value);
      if (calm.matches) shown = read[step];
      else move = { from, start: performance.now() };
      write();
      keep();
      decodes(step).then(schedule);
      schedule();
    });
    const place = (event) => {
      const { left, top } = canvas.getBoundingClientRect();
      moveTo(picture.toPlace([event.clientX - left, event.clientY - top]));
    };
    canvas.title = names.some((name) => name.length > 2) ? names.join(", ") : "";
    canvas.addEventListener("pointerdown", place);
    canvas.addEventListener("pointermove", place);
    canvas.addEventListener("keydown", (event) => {
      const arrow = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (!arrow || event.ctrlKey || event.metaKey || event.altKey) return;
      const at = cell(point).place;
      moveTo([at[0] + (arrow[0] * (x1 - x0)) / side, at[1] + (arrow[1] * (y1 - y0)) / side]);
      event.preventDefault();
    });
    write();
    parts.push(() => paint());
    // The others are read when the page has nothing else to do, so that the slider need not wait for them.
    const later = (n) => n < steps.length && (window.requestIdleCallback ?? setTimeout)(() => decodes(n).then(() => later(n + 1)));
    return decodes(step).then(() => void later(0));
  }

  async function start() {
    await Promise.all([data.draws && startDraws(data.draws), data.plane && startPlane(data.plane)]);
    const restyle = () => {
      look = null;
      for (const paint of parts) paint();
    };
    Look.dark.addEventListener("change", restyle);
    new ResizeObserver(restyle).observe(root);
    restyle();
    root.dataset.ready = "";
  }

  start().catch((error) => console.error(error));
})();
