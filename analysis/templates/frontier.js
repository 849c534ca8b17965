// The frontier to be pointed at: one mark per encoder, with a card that says what it is; filters by
// method, cut and saturation, and the staircase of what is left. Marks can be reached by keyboard.
for (const stage of document.querySelectorAll("[data-frontier]")) {
  const data = JSON.parse(stage.dataset.frontier);
  const space = "http://www.w3.org/2000/svg";
  const card = stage.querySelector(".card");
  const drawing = stage.querySelector(".drawing");
  const count = stage.querySelector("output");
  const hidden = { method: new Set(), cut: new Set(), saturated: new Set() };
  const MARGIN = { left: 56, right: 16, top: 12, bottom: 46 };

  const make = (name, attributes, parent, text) => {
    const node = document.createElementNS(space, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    parent.append(node);
    return node;
  };
  const element = (name, parent, text, kind) => {
    const node = document.createElement(name);
    if (text !== undefined) node.textContent = text;
    if (kind) node.className = kind;
    parent.append(node);
    return node;
  };
  const SHAPES = {
    o: "M-4,0a4,4 0 1,0 8,0a4,4 0 1,0 -8,0", s: "M-3.6,-3.6h7.2v7.2h-7.2z",
    "^": "M0,-5L4.6,3.6H-4.6z", v: "M0,5L4.6,-3.6H-4.6z", D: "M0,-5L4.4,0L0,5L-4.4,0z",
    P: "M-1.6,-5h3.2v3.4h3.4v3.2h-3.4v3.4h-3.2v-3.4h-3.4v-3.2h3.4z",
    h: "M0,-5L4.3,-2.5V2.5L0,5L-4.3,2.5V-2.5z", p: "M0,-6L5.7,-1.9L3.5,4.9H-3.5L-5.7,-1.9z",
    X: "M-5,-3L-3,-5L0,-2L3,-5L5,-3L2,0L5,3L3,5L0,2L-3,5L-5,3L-2,0z",
    "*": "M0,-8L1.9,-2.6L7.6,-2.5L3.1,1L4.7,6.5L0,3.2L-4.7,6.5L-3.1,1L-7.6,-2.5L-1.9,-2.6z",
  };

  const ticks = (low, high, wanted) => {
    const raw = (high - low) / wanted;
    const unit = 10 ** Math.floor(Math.log10(raw));
    const step = unit * ([1, 2, 2.5, 5, 10].find((factor) => factor * unit >= raw) || 10);
    const found = [];
    for (let at = Math.ceil(low / step - 1e-9) * step; at <= high + 1e-9; at += step) found.push(at);
    return found;
  };
  const shown = (point) =>
    !hidden.method.has(point.method) && !hidden.cut.has(point.cut) &&
    !hidden.saturated.has(point.saturated ? "saturated" : "lower bounds");

  // Those no other one beats; a lower bound is never among them and beats none.
  const best = (points) => {
    const own = points.filter((p) => p.saturated && p.role !== "labels");
    return own.filter((p) => !own.some((q) => q.utility >= p.utility && q.leakage <= p.leakage &&
      (q.utility > p.utility || q.leakage < p.leakage))).sort((a, b) => a.utility - b.utility);
  };

  const describe = (point) => {
    card.replaceChildren();
    const head = element("h4", card, point.label);
    if (point.frontier) element("span", head, "on the frontier", "badge");
    const about = [point.method, point.cut && `cut at ${point.cut}`].filter(Boolean).join(", ");
    if (about) element("p", card, about);
    const bound = point.saturated ? "" : "at least ";
    const list = element("dl", card);
    const row = (name, value) => { element("dt", list, name); element("dd", list, value); };
    const error = (value) => (value === null ? "" : ` ± ${value.toFixed(3)}`);
    row("mean MCC", point.utility.toFixed(3) + error(point.utility_error));
    row("worst leakage", bound + point.leakage.toFixed(3) + error(point.leakage_error));
    if (point.probability !== null)
      row("on the frontier", `in ${Math.round(100 * point.probability)}% of redraws`);
    if (point.worst) row("worst attacker", point.worst);
    for (const [name, value] of point.settings) row(name, value);
    if (point.picture) {
      if (data.originals) element("img", card, undefined, "tiles").src = data.originals;
      const image = element("img", card, undefined, "tiles");
      image.src = point.picture;
      image.alt = `what ${point.rebuilder} rebuilt from the codes of ${point.label}`;
      element("p", card, `above: originals; below: rebuilt by ${point.rebuilder}`, "note");
    }
  };

  const draw = () => {
    const width = Math.max(300, drawing.clientWidth);
    const height = Math.min(460, Math.max(320, width * 0.62));
    const points = data.points.filter(shown);
    drawing.replaceChildren();
    const svg = make("svg", {
      viewBox: `0 0 ${width} ${height}`, width, height, role: "group",
      "aria-label": "mean MCC against worst leakage; every mark is an encoder",
    }, drawing);
    const all = data.points.map((p) => p.utility);
    const low = Math.min(...all), high = Math.max(...all);
    const pad = Math.max(0.05 * (high - low), 0.01);
    const top = Math.min(1.04, Math.max(0.2, ...data.points.map((p) => p.leakage)) * 1.1);
    const x = (value) => MARGIN.left + (value - low + pad) / (high - low + 2 * pad) *
      (width - MARGIN.left - MARGIN.right);
    const y = (value) => height - MARGIN.bottom -
      (value + 0.03 * top) / (1.03 * top) * (height - MARGIN.top - MARGIN.bottom);
    const floor = height - MARGIN.bottom;
    for (const at of ticks(low - pad, Math.min(1, high + pad), width < 500 ? 4 : 7)) {
      make("line", { x1: x(at), x2: x(at), y1: MARGIN.top, y2: floor, class: "grid-line" }, svg);
      make("text", { x: x(at), y: floor + 16, "text-anchor": "middle" }, svg, +at.toFixed(4));
    }
    for (const at of ticks(0, top, 5)) {
      make("line", { x1: MARGIN.left, x2: width - MARGIN.right, y1: y(at), y2: y(at),
        class: "grid-line" }, svg);
      make("text", { x: MARGIN.left - 8, y: y(at) + 4, "text-anchor": "end" }, svg,
        +at.toFixed(4));
    }
    const middle = (MARGIN.left + width - MARGIN.right) / 2;
    const size = data.num_test ? ` (test, n = ${data.num_test.toLocaleString("en")})` : "";
    make("text", { x: middle, y: height - 8, "text-anchor": "middle", class: "axis" }, svg,
      `utility: mean MCC${size} → better`);
    make("text", { x: 14, y: (MARGIN.top + floor) / 2, "text-anchor": "middle", class: "axis",
      transform: `rotate(-90 14 ${(MARGIN.top + floor) / 2})` }, svg,
      "better ← worst leakage");
    const corners = best(points);
    if (corners.length) {
      let path = `M${MARGIN.left},${y(corners[0].leakage)}`;
      corners.forEach((corner, number) => {
        const above = number + 1 < corners.length ? y(corners[number + 1].leakage) : MARGIN.top;
        path += `H${x(corner.utility)}V${above}`;
      });
      make("path", { d: path, class: "staircase" }, svg);
    }
    // Two standard errors either way, of the staircase's own encoders alone: all would hide them.
    for (const point of corners) {
      const [dx, dy] = [point.utility_error, point.leakage_error].map((e) => 2 * (e || 0));
      if (dx) make("line", { x1: x(point.utility - dx), x2: x(point.utility + dx),
        y1: y(point.leakage), y2: y(point.leakage), class: "error" }, svg);
      if (dy) make("line", { x1: x(point.utility), x2: x(point.utility),
        y1: y(Math.max(0, point.leakage - dy)), y2: y(point.leakage + dy), class: "error" }, svg);
    }
    const marks = [];
    const order = [...points].sort((a, b) => a.utility - b.utility || a.leakage - b.leakage);
    for (const point of order) {
      const bound = point.saturated ? "" : "at least ";
      const mark = make("path", {
        d: SHAPES[point.shape] || SHAPES.o, tabindex: marks.length ? -1 : 0, role: "img",
        transform: `translate(${x(point.utility)} ${y(point.leakage)})`, class: "mark",
        fill: point.saturated ? point.colour : "#fff", stroke: point.colour,
        "aria-label": `${point.label}: mean MCC ${point.utility.toFixed(3)}, ` +
          `worst leakage ${bound}${point.leakage.toFixed(3)}`,
      }, svg);
      const choose = () => {
        for (const other of marks) {
          other.classList.toggle("chosen", other === mark);
          other.setAttribute("tabindex", other === mark ? 0 : -1);
        }
        describe(point);
      };
      mark.addEventListener("pointerenter", choose);
      mark.addEventListener("focus", choose);
      mark.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
        if (!step) return;
        event.preventDefault();
        marks[(marks.indexOf(mark) + step + marks.length) % marks.length].focus();
      });
      marks.push(mark);
    }
    count.textContent = `${points.length} of ${data.points.length} encoders shown`;
  };

  // The filters are the legend, too: what a colour or a shape stands for.
  const swatch = (by, word) => {
    const point = data.points.find((p) => p[by] === word && p.role === "searched") ||
      data.points.find((p) => p[by] === word);
    if (!point) return null;
    const coloured = (by === "method") === data.by_method;
    const icon = document.createElementNS(space, "svg");
    for (const [key, value] of [["viewBox", "-9 -9 18 18"], ["width", 16], ["height", 16]])
      icon.setAttribute(key, value);
    const shape = by === "method" && data.by_method ? SHAPES.o : SHAPES[point.shape] || SHAPES.o;
    make("path", { d: shape, fill: coloured ? point.colour : "#6b7078" }, icon);
    return icon;
  };
  for (const group of stage.querySelectorAll("fieldset")) {
    for (const box of group.querySelectorAll("input")) {
      const icon = (data.by_method || group.dataset.by === "cut") &&
        swatch(group.dataset.by, box.value);
      if (icon) box.after(icon);
      box.addEventListener("change", () => {
        hidden[group.dataset.by][box.checked ? "delete" : "add"](box.value);
        draw();
      });
    }
  }
  stage.hidden = false;
  const still = document.querySelector("details.still");
  still.open = false;
  window.addEventListener("beforeprint", () => { still.open = true; });
  let width = 0;
  new ResizeObserver(() => {
    if (drawing.clientWidth === width) return;
    width = drawing.clientWidth;
    draw();
  }).observe(drawing);
}
